#ifndef FLOW_SUM_POOL_H_
#define FLOW_SUM_POOL_H_

// Sum of each pool_height x pool_width window, whose stride is its size; what is left at the far edges is dropped.
// The sum of the input's integers is the output's integer.

#include "hls_stream.h"
#include "nnet_common.h"
#include "raw_bits.h"

namespace nnet {

struct sum_pool_config {
    static const unsigned in_height = 1;
    static const unsigned in_width = 1;
    static const unsigned n_chan = 1;
    static const unsigned pool_height = 1;
    static const unsigned pool_width = 1;
    static const int input_fraction_bits = 0;
    static const unsigned reuse_factor = 1;
};

// io_stream: a pixel a beat
template <class data_T, class res_T, typename CONFIG_T> void sum_pool(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    const unsigned out_width = CONFIG_T::in_width / CONFIG_T::pool_width;
    const unsigned out_height = CONFIG_T::in_height / CONFIG_T::pool_height;
    ap_int<64> sums[out_width][CONFIG_T::n_chan];
SumPoolRows:
    for (unsigned y = 0; y < CONFIG_T::in_height; y++) {
    SumPoolColumns:
        for (unsigned x = 0; x < CONFIG_T::in_width; x++) {
            #pragma HLS PIPELINE II=CONFIG_T::reuse_factor
            const data_T in = data.read();
            const unsigned column = x / CONFIG_T::pool_width;
            if (column >= out_width || y >= out_height * CONFIG_T::pool_height)
                continue;
            const bool first = y % CONFIG_T::pool_height == 0 && x % CONFIG_T::pool_width == 0;
            const bool last = (y + 1) % CONFIG_T::pool_height == 0 && (x + 1) % CONFIG_T::pool_width == 0;
            res_T out;
            PRAGMA_DATA_PACK(out)
        SumPoolChannels:
            for (unsigned c = 0; c < CONFIG_T::n_chan; c++) {
                #pragma HLS UNROLL
                const ap_int<64> before = first ? ap_int<64>(0) : sums[column][c];
                const ap_int<64> sum = before + integer_of<CONFIG_T::input_fraction_bits>(in[c]);
                sums[column][c] = sum;
                out[c] = from_code<typename res_T::value_type>(sum);
            }
            if (last)
                res.write(out);
        }
    }
}

// io_parallel
template <class data_T, class res_T, typename CONFIG_T>
void sum_pool(data_T data[CONFIG_T::in_height * CONFIG_T::in_width * CONFIG_T::n_chan],
              res_T res[(CONFIG_T::in_height / CONFIG_T::pool_height) * (CONFIG_T::in_width / CONFIG_T::pool_width) *
                        CONFIG_T::n_chan]) {
    #pragma HLS PIPELINE II=CONFIG_T::reuse_factor
    const unsigned out_width = CONFIG_T::in_width / CONFIG_T::pool_width;
    const unsigned out_height = CONFIG_T::in_height / CONFIG_T::pool_height;
SumPoolOutputs:
    for (unsigned i = 0; i < out_height * out_width * CONFIG_T::n_chan; i++) {
        const unsigned c = i % CONFIG_T::n_chan, x = i / CONFIG_T::n_chan % out_width, y = i / CONFIG_T::n_chan / out_width;
        ap_int<64> sum = 0;
        for (unsigned ky = 0; ky < CONFIG_T::pool_height; ky++)
            for (unsigned kx = 0; kx < CONFIG_T::pool_width; kx++) {
                const unsigned row = y * CONFIG_T::pool_height + ky, column = x * CONFIG_T::pool_width + kx;
                sum += integer_of<CONFIG_T::input_fraction_bits>(data[(row * CONFIG_T::in_width + column) * CONFIG_T::n_chan + c]);
            }
        res[i] = from_code<res_T>(sum);
    }
}

} // namespace nnet

#endif
