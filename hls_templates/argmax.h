#ifndef FLOW_ARGMAX_H_
#define FLOW_ARGMAX_H_

// The position of the largest of n_in numbers; of several that are equal, the first.

#include "hls_stream.h"
#include "nnet_common.h"
#include "raw_bits.h"

namespace nnet {

struct argmax_config {
    static const unsigned n_in = 2;
    static const unsigned reuse_factor = 1;
};

// io_stream
template <class data_T, class res_T, typename CONFIG_T> void argmax(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    typename data_T::value_type best = 0;
    ap_uint<16> index = 0;
ArgmaxBeats:
    for (unsigned i = 0; i < CONFIG_T::n_in / data_T::size; i++) {
        #pragma HLS PIPELINE II=CONFIG_T::reuse_factor
        const data_T in = data.read();
    ArgmaxLanes:
        for (unsigned j = 0; j < data_T::size; j++) {
            #pragma HLS UNROLL
            if (i + j == 0 || in[j] > best) {
                best = in[j];
                index = i * data_T::size + j;
            }
        }
    }
    res_T out;
    PRAGMA_DATA_PACK(out)
    out[0] = from_code<typename res_T::value_type>(index);
    res.write(out);
}

// io_parallel
template <class data_T, class res_T, typename CONFIG_T> void argmax(data_T data[CONFIG_T::n_in], res_T res[1]) {
    #pragma HLS PIPELINE II=CONFIG_T::reuse_factor
    ap_uint<16> index = 0;
ArgmaxElements:
    for (unsigned i = 1; i < CONFIG_T::n_in; i++)
        if (data[i] > data[index])
            index = i;
    res[0] = from_code<res_T>(index);
}

} // namespace nnet

#endif
