// C simulation of an hls4ml io_stream project on raw integers: int32 input codes in, int64 logits out.
//
//   csim <images> <outputs>
//
// <images>: FLOW_ELEMENTS little-endian int32 an image, (row, column, channel), no header.
// <outputs>: FLOW_OUTPUTS little-endian int64 an image, on the grid of FLOW_OUTPUT_FRACTION_BITS; written image by image.
//
// The project's own test bench goes through decimal text and float, which cannot be compared bit by bit.

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
    if (argc != 3) {
        std::fprintf(stderr, "usage: csim <images> <outputs>\n");
        return 2;
    }
    std::FILE *images = std::fopen(argv[1], "rb");
    std::FILE *outputs = std::fopen(argv[2], "wb");
    if (!images || !outputs) {
        std::fprintf(stderr, "cannot open %s\n", images ? argv[2] : argv[1]);
        return 2;
    }
    static int32_t codes[FLOW_ELEMENTS];
    for (unsigned long done = 0; std::fread(codes, sizeof codes[0], FLOW_ELEMENTS, images) == FLOW_ELEMENTS; done++) {
        hls::stream<input_t> in("in");
        hls::stream<result_t> out("out");
        for (unsigned i = 0; i < FLOW_ELEMENTS; i += input_t::size) {
            input_t pack;
            for (unsigned j = 0; j < input_t::size; j++)
                pack[j] = nnet::from_code<input_t::value_type>(ap_int<32>(codes[i + j]));
            in.write(pack);
        }
        FLOW_TOP(in, out);
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
    }
    if (std::ferror(images) || std::ferror(outputs) || std::fclose(outputs) != 0) {
        std::fprintf(stderr, "reading or writing failed\n");
        return 2;
    }
    return 0;
}
