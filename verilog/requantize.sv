// requantize: an affine activation function in integers, per channel.
//
// Formula:  out[c] = saturate((x[c] * M[c] + B[c]) >>> SHIFT); the shift is arithmetic (rounds down), and
//           saturate clamps to what OUT_WIDTH bits hold. TIES_TO_EVEN: where all SHIFT dropped bits are zero, which
//           with half a place in B is a tie, the lowest bit is cleared first (rounding half to even).
// Beats:    beat g carries the channels g*LANES + lane; LANES channels in, LANES results out.
// Rate:     one beat per cycle.
// Latency:  4 cycles: read, multiply, add, shift and saturate; 1 more with x and M both over 18 bits, the narrower
//           operand of a DSP, where the product is put together from two.
// Reset:    the next beat is channel group 0.
// File:     hexadecimal words for $readmemh, made by flow.rtl.memory.pack_requantize. Word g has, for lane l
//           of channel g*LANES + l, {..., lane 1, lane 0}, lane = {B, M} in two's complement.
module requantize #(
    parameter int unsigned CHANNELS   = 16,  // channels
    parameter int unsigned LANES      = 1,   // channels of a beat; divides CHANNELS
    parameter int unsigned IN_WIDTH   = 16,  // bits of an input
    parameter int unsigned IN_SIGNED  = 1,   // 1: inputs are two's complement
    parameter int unsigned MULT_WIDTH = 16,  // bits of M, two's complement
    parameter int unsigned BIAS_WIDTH = 32,  // bits of B, two's complement
    parameter int unsigned SHIFT      = 16,  // bits dropped
    parameter int unsigned TIES_TO_EVEN = 0, // 1: ties go to the even result
    parameter int unsigned OUT_WIDTH  = 8,   // bits of a result
    parameter int unsigned OUT_SIGNED = 0,   // 1: results are two's complement
    parameter              INIT_FILE  = ""   // M and B
) (
    input  logic                       clk,
    input  logic                       rst,
    input  logic [ LANES*IN_WIDTH-1:0] s_axis_tdata,
    input  logic                       s_axis_tvalid,
    output logic                       s_axis_tready,
    output logic [LANES*OUT_WIDTH-1:0] m_axis_tdata,
    output logic                       m_axis_tvalid,
    input  logic                       m_axis_tready
);
  if (LANES < 1 || CHANNELS % LANES != 0) begin : gen_check_lanes
    $error("requantize: LANES (%0d) must divide CHANNELS (%0d)", LANES, CHANNELS);
  end
  if (IN_WIDTH < 1 || MULT_WIDTH < 1 || BIAS_WIDTH < 1 || OUT_WIDTH < 1) begin : gen_check_width
    $error("requantize: IN_WIDTH (%0d), MULT_WIDTH (%0d), BIAS_WIDTH (%0d) and OUT_WIDTH (%0d) must be at least 1",
           IN_WIDTH, MULT_WIDTH, BIAS_WIDTH, OUT_WIDTH);
  end

  localparam int unsigned X_WIDTH = IN_SIGNED != 0 ? IN_WIDTH : IN_WIDTH + 1;
  localparam int unsigned LANE_WIDTH = MULT_WIDTH + BIAS_WIDTH;
  localparam int unsigned STAGES = X_WIDTH > 18 && MULT_WIDTH > 18 ? 5 : 4;  // of the memory and affine
  localparam int unsigned GROUPS = CHANNELS / LANES;
  localparam int unsigned GROUP_WIDTH = GROUPS > 1 ? $clog2(GROUPS) : 1;

  logic                        advance;
  logic [     GROUP_WIDTH-1:0] group;
  logic [          STAGES-1:0] valid;
  logic [LANES*LANE_WIDTH-1:0] word;
  logic [       OUT_WIDTH-1:0] maximum;

  assign advance       = !m_axis_tvalid || m_axis_tready;
  assign s_axis_tready = advance;
  assign m_axis_tvalid = valid[STAGES-1];
  assign maximum       = {OUT_WIDTH{1'b1}} >> OUT_SIGNED;

  always_ff @(posedge clk) begin
    if (rst) begin
      group <= '0;
      valid <= '0;
    end else if (advance) begin
      valid <= STAGES'({valid, s_axis_tvalid});
      if (s_axis_tvalid) group <= (group == GROUP_WIDTH'(GROUPS - 1)) ? '0 : group + 1'b1;
    end
  end

  rom #(
      .WIDTH    (LANES * LANE_WIDTH),
      .DEPTH    (GROUPS),
      .INIT_FILE(INIT_FILE),
      .STYLE    (1)
  ) u_constants (
      .clk   (clk),
      .enable(advance),
      .addr  (group),
      .data  (word)
  );

  for (genvar l = 0; l < LANES; l++) begin : gen_lane
    affine #(
        .IN_WIDTH    (IN_WIDTH),
        .IN_SIGNED   (IN_SIGNED),
        .MULT_WIDTH  (MULT_WIDTH),
        .BIAS_WIDTH  (BIAS_WIDTH),
        .SHIFT       (SHIFT),
        .TIES_TO_EVEN(TIES_TO_EVEN),
        .OUT_WIDTH   (OUT_WIDTH),
        .OUT_SIGNED  (OUT_SIGNED)
    ) u_affine (
        .clk      (clk),
        .enable   (advance),
        .value    (s_axis_tdata[l*IN_WIDTH+:IN_WIDTH]),
        .constants(word[l*LANE_WIDTH+:LANE_WIDTH]),
        .maximum  (maximum),
        .code     (m_axis_tdata[l*OUT_WIDTH+:OUT_WIDTH])
    );
  end
endmodule
