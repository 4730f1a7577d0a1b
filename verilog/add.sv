// add: joins two streams element by element.
//
// Formula:  out[i] = a[i] + b[i], exact, signed.
// Beats:    LANES elements; a beat of each stream makes one.
// Rate:     one beat per cycle.
// Latency:  1 cycle after the later of the two.
// Reset:    forgets the beat at the output.
module add #(
    parameter int unsigned LANES     = 4,  // elements of a beat
    parameter int unsigned A_WIDTH   = 8,  // bits of an element of a
    parameter int unsigned A_SIGNED  = 0,  // 1: a is two's complement
    parameter int unsigned B_WIDTH   = 8,  // bits of an element of b
    parameter int unsigned B_SIGNED  = 0,  // 1: b is two's complement
    parameter int unsigned OUT_WIDTH = 10  // bits of a sum, two's complement
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
  localparam int unsigned A_EXACT = A_WIDTH + (A_SIGNED == 0 ? 1 : 0);
  localparam int unsigned B_EXACT = B_WIDTH + (B_SIGNED == 0 ? 1 : 0);
  localparam int unsigned EXACT = (A_EXACT > B_EXACT ? A_EXACT : B_EXACT) + (A_SIGNED + B_SIGNED > 0 ? 1 : 0);

  if (LANES < 1 || A_WIDTH < 1 || B_WIDTH < 1) begin : gen_check_positive
    $error("add: LANES (%0d), A_WIDTH (%0d) and B_WIDTH (%0d) must be at least 1", LANES, A_WIDTH, B_WIDTH);
  end
  if (OUT_WIDTH < EXACT) begin : gen_check_out
    $error("add: OUT_WIDTH (%0d) must be at least %0d to hold every sum", OUT_WIDTH, EXACT);
  end

  logic advance;
  assign advance         = !m_axis_tvalid || m_axis_tready;
  assign s_a_axis_tready = advance && s_b_axis_tvalid;
  assign s_b_axis_tready = advance && s_a_axis_tvalid;

  always_ff @(posedge clk) begin
    if (rst) m_axis_tvalid <= 1'b0;
    else if (advance) m_axis_tvalid <= s_a_axis_tvalid && s_b_axis_tvalid;
  end

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    logic signed [A_WIDTH:0] a;
    logic signed [B_WIDTH:0] b;
    assign a = {A_SIGNED != 0 && s_a_axis_tdata[i*A_WIDTH+A_WIDTH-1], s_a_axis_tdata[i*A_WIDTH+:A_WIDTH]};
    assign b = {B_SIGNED != 0 && s_b_axis_tdata[i*B_WIDTH+B_WIDTH-1], s_b_axis_tdata[i*B_WIDTH+:B_WIDTH]};
    always_ff @(posedge clk) begin
      if (advance) m_axis_tdata[i*OUT_WIDTH+:OUT_WIDTH] <= OUT_WIDTH'(a) + OUT_WIDTH'(b);
    end
  end
endmodule
