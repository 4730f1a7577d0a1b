// Streams frames through a Verilated AXI4-Stream top, back to back, as fast as it takes them.
//
//   network IN OUT TRACE FRAMES IN_BEATS IN_BYTES OUT_BEATS OUT_BYTES LIMIT STALLS [WORDS WORD_BYTES]
//
// IN and OUT are beats as they stand on the bus, little-endian. One line a frame goes to standard output:
// "frame <n> <first input cycle> <last output cycle>". TRACE is a folder that receives the beats of every stream
// in streams.inc, one file each, or "-". Exits with 3 when no beat moves for LIMIT cycles, with 4 on a wrong tlast, and
// with 6 on a beat behind the last frame: as many cycles are waited for one as that frame took.
// STALLS is 0, or the seed of random stalls on both sides: each side's rate changes every 256 cycles, from none to all
// the time. A beat that was offered stays until it is taken.
// Compiled with CONFIGURATION, for a top with runtime layers: WORDS has a configuration of WORD_BYTES for each frame,
// little-endian, which is on the port while the frame's first beat is offered and nonsense at all other times.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "Vtop.h"
#include "Vtop___024root.h"
#include "verilated.h"

namespace {

// Ports and signals are integers or word arrays, little-endian either way.
template <class T>
void store(T& port, const uint8_t* bytes, size_t count) {
    uint8_t padded[sizeof(T)] = {};
    std::memcpy(padded, bytes, count);
    std::memcpy(static_cast<void*>(&port), padded, sizeof(T));
}

struct Stream {
    const void* data;
    const CData* valid;
    const CData* ready;
    size_t bytes;
    FILE* file;
};

std::vector<uint8_t> read_all(const char* path) {
    FILE* file = std::fopen(path, "rb");
    if (!file) { std::perror(path); std::exit(2); }
    std::vector<uint8_t> bytes;
    uint8_t block[65536];
    for (size_t n; (n = std::fread(block, 1, sizeof block, file)) > 0;) bytes.insert(bytes.end(), block, block + n);
    std::fclose(file);
    return bytes;
}

// Whether a side stalls in this cycle.
class Stalls {
public:
    explicit Stalls(uint64_t seed) : state_(seed) {}
    bool operator()(uint64_t cycle) {
        if (state_ == 0) return false;
        if (cycle % 256 == 0) rate_ = std::max(next() % 17, next() % 17);
        return next() % 16 < rate_;
    }

private:
    uint64_t next() {  // Marsaglia's xorshift64, whose high bits are the better ones
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return state_ >> 32;
    }
    uint64_t state_, rate_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 11) { std::fprintf(stderr, "usage: see the head of network.cpp\n"); return 2; }
    const std::vector<uint8_t> input = read_all(argv[1]);
    FILE* output = std::fopen(argv[2], "wb");
    if (!output) { std::perror(argv[2]); return 2; }
    const std::string trace = argv[3];
    const uint64_t frames = std::strtoull(argv[4], nullptr, 10);
    const uint64_t in_beats = std::strtoull(argv[5], nullptr, 10), in_bytes = std::strtoull(argv[6], nullptr, 10);
    const uint64_t out_beats = std::strtoull(argv[7], nullptr, 10), out_bytes = std::strtoull(argv[8], nullptr, 10);
    const uint64_t limit = std::strtoull(argv[9], nullptr, 10), seed = std::strtoull(argv[10], nullptr, 10);
    if (input.size() != frames * in_beats * in_bytes) { std::fprintf(stderr, "input has the wrong size\n"); return 2; }

#ifdef CONFIGURATION
    if (argc < 13) { std::fprintf(stderr, "usage: see the head of network.cpp\n"); return 2; }
    const std::vector<uint8_t> words = read_all(argv[11]);
    const uint64_t word_bytes = std::strtoull(argv[12], nullptr, 10);
    if (words.size() != frames * word_bytes) { std::fprintf(stderr, "WORDS has the wrong size\n"); return 2; }
#endif

    VerilatedContext context;
    context.commandArgs(argc, argv);
    Vtop top(&context);
    std::vector<Stream> streams;
    if (trace != "-") {
#define STREAM(name, signal, width)                                                                            \
    streams.push_back({&top.rootp->signal##_tdata, &top.rootp->signal##_tvalid, &top.rootp->signal##_tready, \
                       (width + 7) / 8, std::fopen((trace + "/" name ".bin").c_str(), "wb")});
#include "streams.inc"
#undef STREAM
    }

    Stalls sender(seed * 0xd1b54a32d192ed03u), receiver(seed * 0x9e3779b97f4a7c15u);  // all bits of both in use
    bool offering = false;
    uint64_t cycle = 0, sent = 0, received = 0, moved = 0;
    std::vector<uint64_t> first(frames + 1, 0);
    auto edge = [&] {
        top.ap_clk = 1;
        top.eval();
        top.ap_clk = 0;
        top.eval();
        ++cycle;
    };
    top.ap_clk = 0;
    top.ap_rst_n = 0;
    top.s_axis_tvalid = 0;
    top.m_axis_tready = 0;
    top.eval();
    for (int i = 0; i < 8; ++i) edge();
    top.ap_rst_n = 1;

    while (received < frames * out_beats) {
        const bool stalled = sender(cycle);
        offering = offering || (sent < frames * in_beats && !stalled);
        top.s_axis_tvalid = offering;
        top.m_axis_tready = !receiver(cycle);
        if (offering) {
            store(top.s_axis_tdata, &input[sent * in_bytes], in_bytes);
            top.s_axis_tlast = sent % in_beats == in_beats - 1;
        }
#ifdef CONFIGURATION
        if (offering && sent % in_beats == 0) {
            store(top.configuration, &words[sent / in_beats * word_bytes], word_bytes);
        } else {
            for (uint64_t i = 0; i < word_bytes; ++i)
                reinterpret_cast<uint8_t*>(&top.configuration)[i] ^= words[(sent / in_beats * word_bytes + i) % words.size()];
        }
#endif
        top.eval();
        if (offering && top.s_axis_tready) {
            if (sent % in_beats == 0) first[sent / in_beats] = cycle;
            ++sent;
            offering = false;
            moved = cycle;
        }
        for (const Stream& s : streams)
            if (*s.valid && *s.ready) std::fwrite(s.data, 1, s.bytes, s.file);
        if (top.m_axis_tvalid && top.m_axis_tready) {
            uint8_t bytes[sizeof(top.m_axis_tdata)];
            std::memcpy(bytes, &top.m_axis_tdata, sizeof bytes);
            std::fwrite(bytes, 1, out_bytes, output);
            const bool last = received % out_beats == out_beats - 1;
            if (bool(top.m_axis_tlast) != last) {
                std::printf("tlast wrong at beat %llu\n", (unsigned long long)received);
                return 4;
            }
            if (last) {
                const uint64_t frame = received / out_beats;
                std::printf("frame %llu %llu %llu\n", (unsigned long long)frame, (unsigned long long)first[frame],
                            (unsigned long long)cycle);
                std::fflush(stdout);
            }
            ++received;
            moved = cycle;
        }
        if (cycle - moved > limit) {
            std::printf("stuck after %llu input and %llu output beats\n", (unsigned long long)sent,
                        (unsigned long long)received);
            return 3;
        }
        edge();
    }
    top.s_axis_tvalid = 0;
    top.m_axis_tready = 1;
    for (const uint64_t end = 2 * cycle - first[frames - 1]; cycle < end; edge()) {
        top.eval();
        if (top.m_axis_tvalid) {
            std::printf("a beat came out behind the last frame's last one\n");
            return 6;
        }
    }
    std::fclose(output);
    for (const Stream& s : streams) std::fclose(s.file);
    top.final();
    return top.frame_error ? 5 : 0;
}
