// C simulation of an hls4ml io_stream project on raw integers: int32 input codes in, int64 logits out.
//
//   csim <images> <outputs> [<expected>]
//
// <images>: FLOW_ELEMENTS little-endian int32 an image, (row, column, channel), no header; where layers choose their width
//   for each image, FLOW_FIELDS more follow, the image's configuration: an index into the widths for each such layer.
// <outputs>: FLOW_OUTPUTS little-endian int64 an image, on the grid of FLOW_OUTPUT_FRACTION_BITS; written image by image.
// <expected>: the same of a model that is right; exits with 1 if an integer differs, which fails a run in Vitis as well.
//
// The FLOW_ macros come from the command line, or from csim_config.h.
//
// The project's own test bench goes through decimal text and float, which cannot be compared bit by bit.

#ifndef FLOW_HEADER
#include "csim_config.h"
#endif
#include FLOW_HEADER
#include "nnet_utils/raw_bits.h"

#include <cstdint>
#include <cstdio>
#include <map>
#include <string>

namespace nnet {
bool trace_enabled = false;
std::map<std::string, void *> *trace_outputs = NULL;
size_t trace_type_size = sizeof(double);
} // namespace nnet

int main(int argc, char **argv) {
    if (argc != 3 && argc != 4) {
        std::fprintf(stderr, "usage: csim <images> <outputs> [<expected>]\n");
        return 2;
    }
    std::FILE *images = std::fopen(argv[1], "rb");
    std::FILE *outputs = std::fopen(argv[2], "wb");
    std::FILE *expected = argc == 4 ? std::fopen(argv[3], "rb") : NULL;
    if (!images || !outputs || (argc == 4 && !expected)) {
        std::fprintf(stderr, "cannot open %s\n", !images ? argv[1] : !outputs ? argv[2] : argv[3]);
        return 2;
    }
    const unsigned together = FLOW_ELEMENTS + FLOW_FIELDS;
    static int32_t codes[together];
    unsigned long done = 0, differing = 0;
    for (; std::fread(codes, sizeof codes[0], together, images) == together; done++) {
        hls::stream<input_t> in("in");
        hls::stream<result_t> out("out");
        for (unsigned i = 0; i < FLOW_ELEMENTS; i += input_t::size) {
            input_t pack;
            for (unsigned j = 0; j < input_t::size; j++)
                pack[j] = nnet::from_code<input_t::value_type>(ap_int<32>(codes[i + j]));
            in.write(pack);
        }
#if FLOW_FIELDS
        hls::stream<configuration_t> configuration("configuration");
        configuration_t fields;
        for (unsigned i = 0; i < FLOW_FIELDS; i++)
            fields[i] = codes[FLOW_ELEMENTS + i];
        configuration.write(fields);
        FLOW_TOP(in, configuration, out);
        if (!configuration.empty()) {
            std::fprintf(stderr, "image %lu: its configuration was not read\n", done);
            return 3;
        }
#else
        FLOW_TOP(in, out);
#endif
        int64_t logits[FLOW_OUTPUTS];
        for (unsigned i = 0; i < FLOW_OUTPUTS; i += result_t::size) {
            if (out.empty()) {
                std::fprintf(stderr, "image %lu: the output ends after %u of %u values\n", done, i, FLOW_OUTPUTS);
                return 3;
            }
            result_t pack = out.read();
            for (unsigned j = 0; j < result_t::size; j++)
                logits[i + j] = nnet::integer_of<FLOW_OUTPUT_FRACTION_BITS>(pack[j]).to_int64();
        }
        if (!in.empty() || !out.empty()) {
            std::fprintf(stderr, "image %lu: values are left in the %s stream\n", done, in.empty() ? "output" : "input");
            return 3;
        }
        std::fwrite(logits, sizeof logits[0], FLOW_OUTPUTS, outputs);
        std::fflush(outputs);
        int64_t wanted[FLOW_OUTPUTS];
        if (expected && std::fread(wanted, sizeof wanted[0], FLOW_OUTPUTS, expected) != FLOW_OUTPUTS) {
            std::fprintf(stderr, "%s ends before image %lu\n", argv[3], done);
            return 2;
        }
        for (unsigned i = 0; expected && i < FLOW_OUTPUTS; i++) {
            if (logits[i] == wanted[i])
                continue;
            if (!differing++)
                std::fprintf(stderr, "FAILED: image %lu, output %u: expected %lld, actual %lld\n", done, i,
                             (long long)wanted[i], (long long)logits[i]);
        }
    }
    if (std::ferror(images) || std::ferror(outputs) || std::fclose(outputs) != 0) {
        std::fprintf(stderr, "reading or writing failed\n");
        return 2;
    }
    if (expected && (differing || done == 0)) {
        std::fprintf(stderr, "FAILED: %lu integers of %lu images differ\n", differing, done);
        return 1;
    }
    if (expected)
        std::printf("PASSED: every integer of %lu images is as expected\n", done);
    return 0;
}
