// What Verilator's FST writer calls of LZ4, without compressing: a machine need not have the library to write waves.
//
// A block of the LZ4 format may consist of one run of literals: a token with the length in its upper four bits, 15
// continued by bytes that are added up to the first that is not 255, and the bytes themselves
// (github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md). Every reader of the format takes it.
#pragma once

#include <cstring>

inline int LZ4_compressBound(int size) { return size + size / 255 + 16; }

/// Writes `size` bytes of `source` as a block; returns the block's bytes, 0 if they are more than `capacity`.
inline int LZ4_compress_default(const char *source, char *target, int size, int capacity) {
    if (capacity < LZ4_compressBound(size)) return 0;
    char *out = target;
    *out++ = static_cast<char>((size < 15 ? size : 15) << 4);
    if (size >= 15) {
        int rest = size - 15;
        for (; rest >= 255; rest -= 255) *out++ = static_cast<char>(255);
        *out++ = static_cast<char>(rest);
    }
    std::memcpy(out, source, size);
    return static_cast<int>(out + size - target);
}
