#ifndef FLOW_REQUANTIZE_H_
#define FLOW_REQUANTIZE_H_

// code = saturate((x * multiplier[c] + bias[c]) >> shift), the shift rounding down. With ties_to_even, the lowest bit of
// the code is cleared where all dropped bits are zero: with half a place in the bias that is rounding half to even.

#include "hls_stream.h"
#include "nnet_common.h"
#include "raw_bits.h"

namespace nnet {

struct requantize_config {
    static const unsigned n_in = 1;
    static const unsigned n_chan = 1;
    static const unsigned shift = 0;
    static const bool ties_to_even = false;
    static const int input_fraction_bits = 0;
    static const int low = 0;
    static const int high = 255;
    static const unsigned reuse_factor = 1;
    typedef ap_int<25> multiplier_t;
    typedef ap_int<48> bias_t;
};

template <class res_T, class CONFIG_T, class data_T>
res_T requantize_one(const data_T &data, typename CONFIG_T::multiplier_t multiplier, typename CONFIG_T::bias_t bias) {
    #pragma HLS INLINE
    const auto x = integer_of<CONFIG_T::input_fraction_bits>(data);
    const ap_int<63> scaled = x * multiplier + bias;
    ap_int<63> code = scaled >> CONFIG_T::shift;
    if (CONFIG_T::ties_to_even && CONFIG_T::shift > 0 && (code << CONFIG_T::shift) == scaled)
        code[0] = 0;
    if (code < CONFIG_T::low)
        code = CONFIG_T::low;
    if (code > CONFIG_T::high)
        code = CONFIG_T::high;
    return from_code<res_T>(code);
}

// io_stream
template <class data_T, class res_T, typename CONFIG_T>
void requantize(hls::stream<data_T> &data, hls::stream<res_T> &res,
                typename CONFIG_T::multiplier_t multiplier[CONFIG_T::n_chan],
                typename CONFIG_T::bias_t bias[CONFIG_T::n_chan]) {
RequantizePixels:
    for (unsigned i = 0; i < CONFIG_T::n_in / res_T::size; i++) {
        #pragma HLS PIPELINE II=CONFIG_T::reuse_factor
        data_T in = data.read();
        res_T out;
        PRAGMA_DATA_PACK(out)
    RequantizeChannels:
        for (unsigned j = 0; j < res_T::size; j++) {
            #pragma HLS UNROLL
            const unsigned c = (i * res_T::size + j) % CONFIG_T::n_chan;
            out[j] = requantize_one<typename res_T::value_type, CONFIG_T>(in[j], multiplier[c], bias[c]);
        }
        res.write(out);
    }
}

// io_parallel
template <class data_T, class res_T, typename CONFIG_T>
void requantize(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_in],
                typename CONFIG_T::multiplier_t multiplier[CONFIG_T::n_chan],
                typename CONFIG_T::bias_t bias[CONFIG_T::n_chan]) {
    #pragma HLS PIPELINE II=CONFIG_T::reuse_factor
RequantizeElements:
    for (unsigned i = 0; i < CONFIG_T::n_in; i++) {
        const unsigned c = i % CONFIG_T::n_chan;
        res[i] = requantize_one<res_T, CONFIG_T>(data[i], multiplier[c], bias[c]);
    }
}

} // namespace nnet

#endif
