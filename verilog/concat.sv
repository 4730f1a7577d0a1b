// concat: two streams side by side, channel after channel.
//
// Formula:  out = {b, a}: the channels of a, then those of b, each widened to OUT_WIDTH.
// Beats:    LANES channels; of each pixel A_CHANNELS/LANES beats of a, then B_CHANNELS/LANES of b. The one that it is
//           not the turn of waits.
// Rate:     one beat per cycle.
// Latency:  1 cycle.
// Reset:    the next beat is the first of a; forgets the beat at the output.
module concat #(
    parameter int unsigned A_CHANNELS = 16,  // channels of a
    parameter int unsigned B_CHANNELS = 8,   // channels of b
    parameter int unsigned LANES      = 4,   // channels of a beat; divides A_CHANNELS and B_CHANNELS
    parameter int unsigned A_WIDTH    = 4,   // bits of an element of a
    parameter int unsigned A_SIGNED   = 0,   // 1: a is two's complement
    parameter int unsigned B_WIDTH    = 4,   // bits of an element of b
    parameter int unsigned B_SIGNED   = 0,   // 1: b is two's complement
    parameter int unsigned OUT_WIDTH  = 4    // bits of an element of the result, signed if a or b is
) (
    input  logic                       clk,
    input  logic                       rst,
    input  logic [  LANES*A_WIDTH-1:0] s_a_axis_tdata,
    input  logic                       s_a_axis_tvalid,
    output logic                       s_a_axis_tready,
    input  logic [  LANES*B_WIDTH-1:0] s_b_axis_tdata,
    input  logic                       s_b_axis_tvalid,
    output logic                       s_b_axis_tready,
    output logic [LANES*OUT_WIDTH-1:0] m_axis_tdata,
    output logic                       m_axis_tvalid,
    input  logic                       m_axis_tready
);
  // an unsigned operand beside a signed one needs a bit for the sign
  localparam int unsigned A_EXACT = A_WIDTH + (A_SIGNED == 0 && B_SIGNED != 0 ? 1 : 0);
  localparam int unsigned B_EXACT = B_WIDTH + (B_SIGNED == 0 && A_SIGNED != 0 ? 1 : 0);
  localparam int unsigned EXACT = A_EXACT > B_EXACT ? A_EXACT : B_EXACT;

  if (LANES < 1 || A_CHANNELS % LANES != 0 || B_CHANNELS % LANES != 0) begin : gen_check_lanes
    $error("concat: LANES (%0d) must divide A_CHANNELS (%0d) and B_CHANNELS (%0d)", LANES, A_CHANNELS, B_CHANNELS);
  end
  if (A_CHANNELS < 1 || B_CHANNELS < 1 || A_WIDTH < 1 || B_WIDTH < 1) begin : gen_check_positive
    $error("concat: A_CHANNELS (%0d), B_CHANNELS (%0d), A_WIDTH (%0d) and B_WIDTH (%0d) must be at least 1",
           A_CHANNELS, B_CHANNELS, A_WIDTH, B_WIDTH);
  end
  if (OUT_WIDTH < EXACT) begin : gen_check_out
    $error("concat: OUT_WIDTH (%0d) must be at least %0d to hold every element", OUT_WIDTH, EXACT);
  end

  localparam int unsigned A_BEATS = A_CHANNELS / LANES;
  localparam int unsigned BEATS = A_BEATS + B_CHANNELS / LANES;
  localparam int unsigned COUNT_WIDTH = $clog2(BEATS + 1);

  logic [COUNT_WIDTH-1:0] count;  // beats of this pixel that went by
  logic                   turn_b;
  logic                   advance;
  logic                   take;

  assign turn_b          = count >= COUNT_WIDTH'(A_BEATS);
  assign advance         = !m_axis_tvalid || m_axis_tready;
  assign take            = turn_b ? s_b_axis_tvalid : s_a_axis_tvalid;
  assign s_a_axis_tready = advance && !turn_b;
  assign s_b_axis_tready = advance && turn_b;

  always_ff @(posedge clk) begin
    if (rst) begin
      count         <= '0;
      m_axis_tvalid <= 1'b0;
    end else if (advance) begin
      m_axis_tvalid <= take;
      if (take) count <= count == COUNT_WIDTH'(BEATS - 1) ? '0 : count + 1'b1;
    end
  end

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    logic signed [A_WIDTH:0] a;
    logic signed [B_WIDTH:0] b;
    assign a = {A_SIGNED != 0 && s_a_axis_tdata[i*A_WIDTH+A_WIDTH-1], s_a_axis_tdata[i*A_WIDTH+:A_WIDTH]};
    assign b = {B_SIGNED != 0 && s_b_axis_tdata[i*B_WIDTH+B_WIDTH-1], s_b_axis_tdata[i*B_WIDTH+:B_WIDTH]};
    always_ff @(posedge clk) begin
      if (advance) m_axis_tdata[i*OUT_WIDTH+:OUT_WIDTH] <= turn_b ? OUT_WIDTH'(b) : OUT_WIDTH'(a);
    end
  end
endmodule
