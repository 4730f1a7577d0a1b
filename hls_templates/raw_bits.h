#ifndef FLOW_RAW_BITS_H_
#define FLOW_RAW_BITS_H_

// The integer inside a fixed-point number, and back.

#include "ap_fixed.h"
#include "ap_int.h"

namespace nnet {

template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> ap_int<W> raw_bits(const ap_fixed<W, I, Q, O, N> &x) {
    #pragma HLS INLINE
    ap_int<W> raw;
    raw.range(W - 1, 0) = x.range(W - 1, 0);
    return raw;
}

template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> ap_int<W + 1> raw_bits(const ap_ufixed<W, I, Q, O, N> &x) {
    #pragma HLS INLINE
    ap_int<W + 1> raw = 0;
    raw.range(W - 1, 0) = x.range(W - 1, 0);
    return raw;
}

// Fraction bits and width of a fixed-point type.
template <class T> struct fixed_type;
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> struct fixed_type<ap_fixed<W, I, Q, O, N>> {
    static const int fraction_bits = W - I;
    static const int width = W;
};
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> struct fixed_type<ap_ufixed<W, I, Q, O, N>> {
    static const int fraction_bits = W - I;
    static const int width = W + 1; // as a signed integer
};

// Widths of shifts that may go either way.
constexpr int shift_up(int bits) { return bits > 0 ? bits : 0; }

// x as a signed integer with FRACTION_BITS. x lies on that grid, so that a bit dropped from a type with more is 0.
template <int FRACTION_BITS, class T>
ap_int<fixed_type<T>::width + shift_up(FRACTION_BITS - fixed_type<T>::fraction_bits)> integer_of(const T &x) {
    #pragma HLS INLINE
    const int up = shift_up(FRACTION_BITS - fixed_type<T>::fraction_bits);
    const int down = shift_up(fixed_type<T>::fraction_bits - FRACTION_BITS);
    ap_int<fixed_type<T>::width + up> wide = raw_bits(x);
    return (wide << up) >> down;
}

// A number whose integer is `code`; T has the fraction bits of the code.
template <class T, class code_T> T from_code(code_T code) {
    #pragma HLS INLINE
    T x;
    x.range(T::width - 1, 0) = code.range(T::width - 1, 0);
    return x;
}

} // namespace nnet

#endif
