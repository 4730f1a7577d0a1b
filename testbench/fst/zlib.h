// What Verilator's FST writer calls of zlib, without compressing: a machine need not have the library to write waves.
//
// A zlib stream (RFC 1950) of stored blocks (RFC 1951, 3.2.4): two bytes of header, blocks of up to 65,535 bytes, each
// behind five bytes, and the Adler-32 sum. Every reader of the format takes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>

using Bytef = unsigned char;
using uLong = unsigned long;
using uLongf = uLong;
constexpr int Z_OK = 0, Z_BUF_ERROR = -5;

inline uLong compressBound(uLong size) { return size + (size / 65535 + 1) * 5 + 6; }

/// Writes `size` bytes of `source` as a stream into `target`, which has room for `*capacity`; sets it to the stream's
/// bytes. The level says nothing here.
inline int compress2(Bytef *target, uLongf *capacity, const Bytef *source, uLong size, int /*level*/) {
    if (*capacity < compressBound(size)) return Z_BUF_ERROR;
    Bytef *out = target;
    *out++ = 0x78;
    *out++ = 0x01;
    uint32_t low = 1, high = 0;
    uLong done = 0;
    do {
        const uLong left = size - done, length = left < 65535 ? left : 65535;
        *out++ = left == length;  // the last block
        *out++ = length & 255;
        *out++ = length >> 8;
        *out++ = ~length & 255;
        *out++ = (~length >> 8) & 255;
        for (uLong i = 0; i < length; ++i) {
            low = (low + source[done + i]) % 65521;
            high = (high + low) % 65521;
        }
        std::memcpy(out, source + done, length);
        out += length;
        done += length;
    } while (done < size);
    for (const uint32_t half : {high, low}) {
        *out++ = half >> 8;
        *out++ = half & 255;
    }
    *capacity = out - target;
    return Z_OK;
}
