#ifndef FLOW_REQUANTIZE_TABLE_H_
#define FLOW_REQUANTIZE_TABLE_H_

// code = saturate((x * multiplier[t, c] + bias[t, c]) >> shift), the shift rounding down, with the table t that the frame's
// configuration selects. Codes end at maximum[t], a power of two less one; they begin at 0, or at -1 - maximum[t] where
// they are signed.

#include "configuration.h"
#include "hls_stream.h"
#include "nnet_common.h"
#include "raw_bits.h"

namespace nnet {

struct requantize_table_config {
    static const unsigned n_in = 1;
    static const unsigned n_chan = 1;
    static const unsigned tables = 2;
    static const unsigned shift = 0;
    static const bool is_signed = false;
    static const int input_fraction_bits = 0;
    static const unsigned reuse_factor = 1;
    typedef ap_int<25> multiplier_t;
    typedef ap_int<48> bias_t;
    typedef ap_int<9> maximum_t;
};

// io_stream
template <class data_T, class fields_T, class res_T, typename CONFIG_T>
void requantize_table(hls::stream<data_T> &data, hls::stream<fields_T> &configuration, hls::stream<res_T> &res,
                      typename CONFIG_T::multiplier_t multiplier[CONFIG_T::tables * CONFIG_T::n_chan],
                      typename CONFIG_T::bias_t bias[CONFIG_T::tables * CONFIG_T::n_chan],
                      typename CONFIG_T::maximum_t maximum[CONFIG_T::tables]) {
    const unsigned n_chan = CONFIG_T::n_chan;
    #pragma HLS ARRAY_RESHAPE variable=multiplier cyclic factor=n_chan
    #pragma HLS ARRAY_RESHAPE variable=bias cyclic factor=n_chan
    const unsigned table = CONFIG_T::entry(configuration.read());
    const ap_int<63> high = maximum[table];
    const ap_int<63> low = CONFIG_T::is_signed ? ap_int<63>(-1 - high) : ap_int<63>(0);
RequantizeTablePixels:
    for (unsigned i = 0; i < CONFIG_T::n_in / res_T::size; i++) {
        #pragma HLS PIPELINE II=CONFIG_T::reuse_factor
        const data_T in = data.read();
        res_T out;
        PRAGMA_DATA_PACK(out)
    RequantizeTableChannels:
        for (unsigned j = 0; j < res_T::size; j++) {
            #pragma HLS UNROLL
            const unsigned at = table * n_chan + (i * res_T::size + j) % n_chan;
            const auto x = integer_of<CONFIG_T::input_fraction_bits>(in[j]);
            const ap_int<63> scaled = x * multiplier[at] + bias[at];
            ap_int<63> code = scaled >> CONFIG_T::shift;
            if (code < low)
                code = low;
            if (code > high)
                code = high;
            out[j] = from_code<typename res_T::value_type>(code);
        }
        res.write(out);
    }
}

} // namespace nnet

#endif
