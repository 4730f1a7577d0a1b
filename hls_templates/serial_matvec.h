#ifndef FLOW_SERIAL_MATVEC_H_
#define FLOW_SERIAL_MATVEC_H_

// A convolution or a dense layer whose weights have the width that the frame's configuration gives them: the top bits of
// the stored code, q = code >> (TOP - width). Sum n of a window is that of x[i] * q[i, n], or of x[i] * (2 * q[i, n] + 1)
// where codes are odd.
//
// Bit planes, the top one first: sum = 2 * sum + (sum of the x whose weight has a 1 in the plane); the top plane counts
// negative. A window takes `width` times `reuse_factor` cycles, so that a narrow width pays.

#include "configuration.h"
#include "hls_stream.h"
#include "nnet_common.h"
#include "raw_bits.h"

namespace nnet {

struct serial_matvec_config {
    static const unsigned in_height = 1;
    static const unsigned in_width = 1;
    static const unsigned n_chan = 1;
    static const unsigned filt_height = 1;
    static const unsigned filt_width = 1;
    static const unsigned stride_height = 1;
    static const unsigned stride_width = 1;
    static const unsigned pad_top = 0;
    static const unsigned pad_left = 0;
    static const unsigned pad_bottom = 0;
    static const unsigned pad_right = 0;
    static const unsigned n_filt = 1;
    static const unsigned top_bits = 4;
    static const bool odd = false;
    static const int input_fraction_bits = 0;
    static const unsigned reuse_factor = 1;
    typedef ap_int<4> weight_t;
};

// The sums of one window; `at(i)` is its input i, in (ky, kx, channel) order.
template <class res_T, class CONFIG_T, class Input>
void serial_window(typename CONFIG_T::weight_t *weights, unsigned bits, res_T &res, Input at) {
    #pragma HLS INLINE
    const unsigned inputs = CONFIG_T::filt_height * CONFIG_T::filt_width * CONFIG_T::n_chan;
    const unsigned together = inputs / CONFIG_T::reuse_factor;
    static_assert(inputs % CONFIG_T::reuse_factor == 0, "reuse_factor must divide the inputs of a window");
    // room for twice the sum, which odd codes need on the way
    typedef ap_int<fixed_type<typename res_T::value_type>::width + 2> sum_t;
    sum_t sums[CONFIG_T::n_filt];
    sum_t total = 0; // of the window's inputs
    #pragma HLS ARRAY_PARTITION variable=sums complete
SerialPlanes:
    for (unsigned plane = 0; plane < bits; plane++) {
    SerialSteps:
        for (unsigned step = 0; step < CONFIG_T::reuse_factor; step++) {
            #pragma HLS PIPELINE II=1
            sum_t x[together];
            #pragma HLS ARRAY_PARTITION variable=x complete
        SerialInputs:
            for (unsigned i = 0; i < together; i++) {
                #pragma HLS UNROLL
                x[i] = integer_of<CONFIG_T::input_fraction_bits>(at(step * together + i));
                if (plane == 0)
                    total += x[i];
            }
        SerialOutputs:
            for (unsigned n = 0; n < CONFIG_T::n_filt; n++) {
                #pragma HLS UNROLL
                sum_t partial = 0;
                for (unsigned i = 0; i < together; i++) {
                    #pragma HLS UNROLL
                    if (weights[(step * together + i) * CONFIG_T::n_filt + n].test(CONFIG_T::top_bits - 1 - plane))
                        partial += x[i];
                }
                sum_t before = sums[n];
                if (step == 0)
                    before = plane == 0 ? sum_t(0) : sum_t(before << 1);
                sums[n] = plane == 0 ? sum_t(before - partial) : sum_t(before + partial);
            }
        }
    }
SerialResults:
    for (unsigned n = 0; n < CONFIG_T::n_filt; n++) {
        #pragma HLS UNROLL
        const sum_t sum = CONFIG_T::odd ? sum_t((sums[n] << 1) + total) : sums[n];
        res[n] = from_code<typename res_T::value_type>(sum);
    }
}

// io_stream, an image: a pixel a beat
template <class data_T, class fields_T, class res_T, typename CONFIG_T>
void serial_matvec(hls::stream<data_T> &data, hls::stream<fields_T> &configuration, hls::stream<res_T> &res,
                   typename CONFIG_T::weight_t weights[CONFIG_T::filt_height * CONFIG_T::filt_width * CONFIG_T::n_chan *
                                                       CONFIG_T::n_filt]) {
    typedef typename data_T::value_type element_t;
    const unsigned height = CONFIG_T::pad_top + CONFIG_T::in_height + CONFIG_T::pad_bottom;
    const unsigned width = CONFIG_T::pad_left + CONFIG_T::in_width + CONFIG_T::pad_right;
    const unsigned word = CONFIG_T::filt_height * CONFIG_T::filt_width * CONFIG_T::n_chan * CONFIG_T::n_filt /
                          CONFIG_T::reuse_factor;
    static element_t rows[CONFIG_T::filt_height][width][CONFIG_T::n_chan];
    static element_t window[CONFIG_T::filt_height][CONFIG_T::filt_width][CONFIG_T::n_chan];
    #pragma HLS ARRAY_PARTITION variable=rows complete dim=1
    #pragma HLS ARRAY_PARTITION variable=rows complete dim=3
    #pragma HLS ARRAY_PARTITION variable=window complete dim=0
    #pragma HLS ARRAY_RESHAPE variable=weights cyclic factor=word
    const unsigned bits = CONFIG_T::bits(configuration.read());
SerialRows:
    for (unsigned y = 0; y < height; y++) {
    SerialColumns:
        for (unsigned x = 0; x < width; x++) {
            const bool inside = y >= CONFIG_T::pad_top && y < CONFIG_T::pad_top + CONFIG_T::in_height &&
                                x >= CONFIG_T::pad_left && x < CONFIG_T::pad_left + CONFIG_T::in_width;
            data_T in;
            if (inside)
                in = data.read();
        SerialShift:
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
            serial_window<res_T, CONFIG_T>(weights, bits, out, [&](unsigned i) {
                const unsigned tap = i / CONFIG_T::n_chan;
                return window[tap / CONFIG_T::filt_width][tap % CONFIG_T::filt_width][i % CONFIG_T::n_chan];
            });
            res.write(out);
        }
    }
}

// io_stream, a vector in one beat or in several
template <class data_T, class fields_T, class res_T, typename CONFIG_T>
void serial_matvec_vector(hls::stream<data_T> &data, hls::stream<fields_T> &configuration, hls::stream<res_T> &res,
                          typename CONFIG_T::weight_t weights[CONFIG_T::n_chan * CONFIG_T::n_filt]) {
    const unsigned word = CONFIG_T::n_chan * CONFIG_T::n_filt / CONFIG_T::reuse_factor;
    typename data_T::value_type vector[CONFIG_T::n_chan];
    #pragma HLS ARRAY_PARTITION variable=vector complete
    #pragma HLS ARRAY_RESHAPE variable=weights cyclic factor=word
    const unsigned bits = CONFIG_T::bits(configuration.read());
SerialBeats:
    for (unsigned beat = 0; beat < CONFIG_T::n_chan / data_T::size; beat++) {
        #pragma HLS PIPELINE II=1
        const data_T in = data.read();
    SerialLanes:
        for (unsigned j = 0; j < data_T::size; j++) {
            #pragma HLS UNROLL
            vector[beat * data_T::size + j] = in[j];
        }
    }
    res_T out;
    PRAGMA_DATA_PACK(out)
    serial_window<res_T, CONFIG_T>(weights, bits, out, [&](unsigned i) { return vector[i]; });
    res.write(out);
}

} // namespace nnet

#endif
