#ifndef FLOW_CONFIGURATION_H_
#define FLOW_CONFIGURATION_H_

// What a frame's layers are told: a token a frame with a field for each layer that can change its width, an index into
// the widths. Every layer that looks at it reads its own copy, before the first pixel of the frame.

#include "hls_stream.h"
#include "nnet_common.h"
#include "raw_bits.h"

namespace nnet {

// A field as an index below COUNT; a value that stands for no width stands for the widest.
template <unsigned COUNT, class field_T> unsigned width_index(const field_T &field) {
    #pragma HLS INLINE
    const unsigned index = field.to_uint();
    return index < COUNT ? index : COUNT - 1;
}

struct pass_through_config {
    static const unsigned reuse_factor = 1;
};

// The configuration for further readers.
template <class data_T, class res_T, typename CONFIG_T> void pass_through(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    const data_T in = data.read();
    res_T out;
    PRAGMA_DATA_PACK(out)
PassThroughFields:
    for (unsigned i = 0; i < res_T::size; i++) {
        #pragma HLS UNROLL
        out[i] = in[i];
    }
    res.write(out);
}

} // namespace nnet

#endif
