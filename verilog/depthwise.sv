// depthwise: a convolution in which every channel has filters of its own, folded to PE x SIMD products a cycle.
//
// Formula:  out[n] = bias[n] + sum over t < TAPS of in[t, n / MULTIPLIER] * weight[n, t], n < CHANNELS*MULTIPLIER,
//           exact in ACC_WIDTH bits, signed. Weights are codes as of a matvec.
// Beats:    in: the windows of LANES = PE/MULTIPLIER channels, as `window` gives them: tap t of channel g*LANES + l at
//           index t*LANES + l of beat g; the sender holds it until its last use.
//           out: beat g carries the accumulators n = g*PE + pe, pe in the low bits first.
// Weights:  come from a memory outside: word g*(TAPS/SIMD) + sf, in it, by bit planes, bit p of
//           weight[g*PE + pe, sf*SIMD + i] at index (pe*WEIGHT_WIDTH + p)*SIMD + i; see matvec. Biases likewise.
// Rate:     TAPS/SIMD cycles a beat, no bubble between beats; CHANNELS*MULTIPLIER/PE beats a position.
// Latency:  TAPS/SIMD + 4 cycles from a beat's arrival to its result; 1 more with more than 6 lanes (SIMD), 1 more
//           with more than 30, 1 more with weights over 4 bits, 1 more with WEIGHT_ODD.
// Reset:    drops what is under way; the next beat is that of the first channels.
//
// It is a matvec of TAPS columns whose rows do not share one vector.
module depthwise #(
    parameter int unsigned CHANNELS     = 64,  // channels of the image
    parameter int unsigned MULTIPLIER   = 1,   // filters of a channel
    parameter int unsigned TAPS         = 9,   // positions of the window
    parameter int unsigned PE           = 4,   // outputs at a time; MULTIPLIER divides it, it CHANNELS*MULTIPLIER
    parameter int unsigned SIMD         = 9,   // taps at a time; divides TAPS
    parameter int unsigned IN_WIDTH     = 4,   // bits of an element
    parameter int unsigned IN_SIGNED    = 0,   // 1: elements are two's complement
    parameter int unsigned WEIGHT_WIDTH = 4,   // bits of a weight, 1 to 16
    parameter int unsigned WEIGHT_ODD   = 0,   // 1: code k means 2k + 1
    parameter int unsigned ACC_WIDTH    = 12   // bits of an accumulator: enough for every result and partial sum
) (
    input  logic                                clk,
    input  logic                                rst,
    input  logic [PE/MULTIPLIER*TAPS*IN_WIDTH-1:0] s_axis_tdata,
    input  logic                                s_axis_tvalid,
    output logic                                s_axis_tready,
    output logic                                memory_enable,
    output logic [(TAPS*CHANNELS*MULTIPLIER > PE*SIMD ? $clog2(TAPS*CHANNELS*MULTIPLIER/(PE*SIMD)) : 1)-1:0] weight_addr,
    input  logic [    PE*SIMD*WEIGHT_WIDTH-1:0] weight_data,
    output logic [(CHANNELS*MULTIPLIER > PE ? $clog2(CHANNELS*MULTIPLIER/PE) : 1)-1:0] bias_addr,
    input  logic [            PE*ACC_WIDTH-1:0] bias_data,
    output logic [            PE*ACC_WIDTH-1:0] m_axis_tdata,
    output logic                                m_axis_tvalid,
    input  logic                                m_axis_tready
);
  if (MULTIPLIER < 1 || PE % MULTIPLIER != 0) begin : gen_check_multiplier
    $error("depthwise: MULTIPLIER (%0d) must divide PE (%0d)", MULTIPLIER, PE);
  end
  if (PE < 1 || CHANNELS * MULTIPLIER % PE != 0) begin : gen_check_pe
    $error("depthwise: PE (%0d) must divide CHANNELS * MULTIPLIER (%0d)", PE, CHANNELS * MULTIPLIER);
  end
  if (SIMD < 1 || TAPS % SIMD != 0) begin : gen_check_simd
    $error("depthwise: SIMD (%0d) must divide TAPS (%0d)", SIMD, TAPS);
  end

  localparam int unsigned MH = CHANNELS * MULTIPLIER;
  localparam int unsigned LANES = PE / MULTIPLIER;

  matvec #(
      .MW          (TAPS),
      .MH          (MH),
      .PE          (PE),
      .SIMD        (SIMD),
      .IN_WIDTH    (IN_WIDTH),
      .IN_SIGNED   (IN_SIGNED),
      .WEIGHT_WIDTH(WEIGHT_WIDTH),
      .WEIGHT_ODD  (WEIGHT_ODD),
      .ACC_WIDTH   (ACC_WIDTH),
      .VECTORS     (LANES)
  ) u_matvec (
      .clk          (clk),
      .rst          (rst),
      .s_axis_tdata (s_axis_tdata),
      .s_axis_tvalid(s_axis_tvalid),
      .s_axis_tready(s_axis_tready),
      .memory_enable(memory_enable),
      .weight_addr  (weight_addr),
      .weight_data  (weight_data),
      .bias_addr    (bias_addr),
      .bias_data    (bias_data),
      .m_axis_tdata (m_axis_tdata),
      .m_axis_tvalid(m_axis_tvalid),
      .m_axis_tready(m_axis_tready)
  );
endmodule
