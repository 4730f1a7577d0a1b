#ifndef FLOW_THRESHOLD_H_
#define FLOW_THRESHOLD_H_

// code = offset + number of thresholds reached: x >= t, or x <= t in channels that flip.
//
// thresholds[c * count + i] is reached no later than thresholds[c * count + i - 1], so that a binary search finds the
// number: log2(count + 1) comparisons, one multiplexer each.

#include "hls_stream.h"
#include "nnet_common.h"
#include "raw_bits.h"

namespace nnet {

struct threshold_config {
    static const unsigned n_in = 1;
    static const unsigned n_chan = 1;
    static const unsigned count = 1;
    static const int offset = 0;
    static const int input_fraction_bits = 0;
    static const unsigned reuse_factor = 1;
    typedef ap_int<32> threshold_t;
    typedef ap_int<2> flip_t;
};

// The greatest power of two that is at most n.
constexpr unsigned threshold_top(unsigned n, unsigned power = 1) {
    return 2 * power <= n ? threshold_top(n, 2 * power) : power;
}

template <class res_T, class CONFIG_T, class data_T>
res_T threshold_one(const data_T &data, const typename CONFIG_T::threshold_t *thresholds, typename CONFIG_T::flip_t flip) {
    #pragma HLS INLINE
    const auto x = integer_of<CONFIG_T::input_fraction_bits>(data);
    unsigned reached = 0;
ThresholdSearch:
    for (unsigned step = threshold_top(CONFIG_T::count); step > 0; step /= 2) {
        #pragma HLS UNROLL
        if (reached + step <= CONFIG_T::count) {
            const typename CONFIG_T::threshold_t t = thresholds[reached + step - 1];
            if (flip != 0 ? x <= t : x >= t)
                reached += step;
        }
    }
    return from_code<res_T>(ap_int<10>((int)reached + CONFIG_T::offset));
}

// io_stream
template <class data_T, class res_T, typename CONFIG_T>
void threshold(hls::stream<data_T> &data, hls::stream<res_T> &res,
               typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_chan * CONFIG_T::count],
               typename CONFIG_T::flip_t flip[CONFIG_T::n_chan]) {
ThresholdPixels:
    for (unsigned i = 0; i < CONFIG_T::n_in / res_T::size; i++) {
        #pragma HLS PIPELINE II=CONFIG_T::reuse_factor
        data_T in = data.read();
        res_T out;
        PRAGMA_DATA_PACK(out)
    ThresholdChannels:
        for (unsigned j = 0; j < res_T::size; j++) {
            #pragma HLS UNROLL
            const unsigned c = (i * res_T::size + j) % CONFIG_T::n_chan;
            out[j] = threshold_one<typename res_T::value_type, CONFIG_T>(in[j], thresholds + c * CONFIG_T::count, flip[c]);
        }
        res.write(out);
    }
}

// io_parallel
template <class data_T, class res_T, typename CONFIG_T>
void threshold(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_in],
               typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_chan * CONFIG_T::count],
               typename CONFIG_T::flip_t flip[CONFIG_T::n_chan]) {
    #pragma HLS PIPELINE II=CONFIG_T::reuse_factor
ThresholdElements:
    for (unsigned i = 0; i < CONFIG_T::n_in; i++) {
        const unsigned c = i % CONFIG_T::n_chan;
        res[i] = threshold_one<res_T, CONFIG_T>(data[i], thresholds + c * CONFIG_T::count, flip[c]);
    }
}

} // namespace nnet

#endif
