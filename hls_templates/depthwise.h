#ifndef FLOW_DEPTHWISE_H_
#define FLOW_DEPTHWISE_H_

// Filters of one channel each: output c * multiplier + m at (y, x) is its bias plus the sum over ky, kx of
// in[y * stride_height - pad_top + ky, x * stride_width - pad_left + kx, c] * weight[ky, kx, c, m], zeros outside the
// image. Sums are of the integers behind the numbers; the result's integer lies on the grid of its type.

#include "hls_stream.h"
#include "nnet_common.h"
#include "raw_bits.h"

namespace nnet {

struct depthwise_config {
    static const unsigned in_height = 1;
    static const unsigned in_width = 1;
    static const unsigned n_chan = 1;
    static const unsigned multiplier = 1;
    static const unsigned filt_height = 1;
    static const unsigned filt_width = 1;
    static const unsigned stride_height = 1;
    static const unsigned stride_width = 1;
    static const unsigned pad_top = 0;
    static const unsigned pad_left = 0;
    static const unsigned pad_bottom = 0;
    static const unsigned pad_right = 0;
    static const int input_fraction_bits = 0;
    static const unsigned reuse_factor = 1;
    typedef ap_int<8> weight_t;
    typedef ap_int<32> bias_t;
};

// One output of one position; `at(ky, kx, c)` is the input under a tap.
template <class res_T, class CONFIG_T, class Input>
res_T depthwise_one(unsigned output, typename CONFIG_T::weight_t *weights, typename CONFIG_T::bias_t bias, Input at) {
    #pragma HLS INLINE
    const unsigned outputs = CONFIG_T::n_chan * CONFIG_T::multiplier;
    ap_int<64> sum = bias;
DepthwiseTaps:
    for (unsigned tap = 0; tap < CONFIG_T::filt_height * CONFIG_T::filt_width; tap++) {
        #pragma HLS UNROLL
        const auto x = at(tap / CONFIG_T::filt_width, tap % CONFIG_T::filt_width, output / CONFIG_T::multiplier);
        sum += integer_of<CONFIG_T::input_fraction_bits>(x) * weights[tap * outputs + output];
    }
    return from_code<res_T>(sum);
}

// io_stream: a pixel a beat
template <class data_T, class res_T, typename CONFIG_T>
void depthwise(hls::stream<data_T> &data, hls::stream<res_T> &res,
               typename CONFIG_T::weight_t weights[CONFIG_T::filt_height * CONFIG_T::filt_width * CONFIG_T::n_chan *
                                                   CONFIG_T::multiplier],
               typename CONFIG_T::bias_t biases[CONFIG_T::n_chan * CONFIG_T::multiplier]) {
    typedef typename data_T::value_type element_t;
    const unsigned height = CONFIG_T::pad_top + CONFIG_T::in_height + CONFIG_T::pad_bottom;
    const unsigned width = CONFIG_T::pad_left + CONFIG_T::in_width + CONFIG_T::pad_right;
    static element_t rows[CONFIG_T::filt_height][width][CONFIG_T::n_chan];
    static element_t window[CONFIG_T::filt_height][CONFIG_T::filt_width][CONFIG_T::n_chan];
    #pragma HLS ARRAY_PARTITION variable=rows complete dim=1
    #pragma HLS ARRAY_PARTITION variable=rows complete dim=3
    #pragma HLS ARRAY_PARTITION variable=window complete dim=0
DepthwiseRows:
    for (unsigned y = 0; y < height; y++) {
    DepthwiseColumns:
        for (unsigned x = 0; x < width; x++) {
            #pragma HLS PIPELINE II=CONFIG_T::reuse_factor
            const bool inside = y >= CONFIG_T::pad_top && y < CONFIG_T::pad_top + CONFIG_T::in_height &&
                                x >= CONFIG_T::pad_left && x < CONFIG_T::pad_left + CONFIG_T::in_width;
            data_T in;
            if (inside)
                in = data.read();
        DepthwiseShift:
            for (unsigned c = 0; c < CONFIG_T::n_chan; c++) {
                #pragma HLS UNROLL
                for (unsigned ky = 0; ky < CONFIG_T::filt_height; ky++) {
                    #pragma HLS UNROLL
                    const element_t newest = inside ? element_t(in[c]) : element_t(0);
                    const element_t next = ky + 1 < CONFIG_T::filt_height ? rows[(ky + 1) % CONFIG_T::filt_height][x][c] : newest;
                    rows[ky][x][c] = next;
                    for (unsigned kx = 0; kx + 1 < CONFIG_T::filt_width; kx++)
                        window[ky][kx][c] = window[ky][kx + 1][c];
                    window[ky][CONFIG_T::filt_width - 1][c] = next;
                }
            }
            if (y + 1 < CONFIG_T::filt_height || x + 1 < CONFIG_T::filt_width ||
                (y + 1 - CONFIG_T::filt_height) % CONFIG_T::stride_height != 0 ||
                (x + 1 - CONFIG_T::filt_width) % CONFIG_T::stride_width != 0)
                continue;
            res_T out;
            PRAGMA_DATA_PACK(out)
        DepthwiseOutputs:
            for (unsigned n = 0; n < CONFIG_T::n_chan * CONFIG_T::multiplier; n++) {
                #pragma HLS UNROLL
                out[n] = depthwise_one<typename res_T::value_type, CONFIG_T>(
                    n, weights, biases[n], [&](unsigned ky, unsigned kx, unsigned c) { return window[ky][kx][c]; });
            }
            res.write(out);
        }
    }
}

// io_parallel
template <class data_T, class res_T, typename CONFIG_T>
void depthwise(data_T data[CONFIG_T::in_height * CONFIG_T::in_width * CONFIG_T::n_chan], res_T *res,
               typename CONFIG_T::weight_t weights[CONFIG_T::filt_height * CONFIG_T::filt_width * CONFIG_T::n_chan *
                                                   CONFIG_T::multiplier],
               typename CONFIG_T::bias_t biases[CONFIG_T::n_chan * CONFIG_T::multiplier]) {
    #pragma HLS PIPELINE II=CONFIG_T::reuse_factor
    const unsigned height = CONFIG_T::pad_top + CONFIG_T::in_height + CONFIG_T::pad_bottom;
    const unsigned width = CONFIG_T::pad_left + CONFIG_T::in_width + CONFIG_T::pad_right;
    const unsigned out_height = (height - CONFIG_T::filt_height) / CONFIG_T::stride_height + 1;
    const unsigned out_width = (width - CONFIG_T::filt_width) / CONFIG_T::stride_width + 1;
    const unsigned outputs = CONFIG_T::n_chan * CONFIG_T::multiplier;
DepthwiseElements:
    for (unsigned i = 0; i < out_height * out_width * outputs; i++) {
        const unsigned n = i % outputs, left = i / outputs % out_width * CONFIG_T::stride_width,
                       top = i / outputs / out_width * CONFIG_T::stride_height;
        res[i] = depthwise_one<res_T, CONFIG_T>(n, weights, biases[n], [&](unsigned ky, unsigned kx, unsigned c) {
            const int y = int(top + ky) - int(CONFIG_T::pad_top), x = int(left + kx) - int(CONFIG_T::pad_left);
            const bool inside = y >= 0 && y < int(CONFIG_T::in_height) && x >= 0 && x < int(CONFIG_T::in_width);
            return inside ? data[(y * CONFIG_T::in_width + x) * CONFIG_T::n_chan + c] : data_T(0);
        });
    }
}

} // namespace nnet

#endif
