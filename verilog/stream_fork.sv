// stream_fork: gives every beat to each of OUTPUTS receivers.
//
// Formula:  out[i] = in.
// Beats:    eager: a receiver that is ready takes the beat at once, whatever the others do; the beat is
//           gone when the last has taken it.
// Rate:     one beat per cycle when all receivers are ready.
// Latency:  0 cycles (no data register).
// Reset:    every receiver is owed the beat again.
module stream_fork #(
    parameter int unsigned WIDTH   = 8,  // bits of a beat
    parameter int unsigned OUTPUTS = 2   // receivers
) (
    input  logic                     clk,
    input  logic                     rst,
    input  logic [        WIDTH-1:0] s_axis_tdata,
    input  logic                     s_axis_tvalid,
    output logic                     s_axis_tready,
    output logic [OUTPUTS*WIDTH-1:0] m_axis_tdata,   // receiver 0 in the low bits
    output logic [      OUTPUTS-1:0] m_axis_tvalid,
    input  logic [      OUTPUTS-1:0] m_axis_tready
);
  if (WIDTH < 1) begin : gen_check_width
    $error("stream_fork: WIDTH (%0d) must be at least 1", WIDTH);
  end
  if (OUTPUTS < 1) begin : gen_check_outputs
    $error("stream_fork: OUTPUTS (%0d) must be at least 1", OUTPUTS);
  end

  logic [OUTPUTS-1:0] done;  // receivers that have this beat already

  assign m_axis_tdata  = {OUTPUTS{s_axis_tdata}};
  assign m_axis_tvalid = {OUTPUTS{s_axis_tvalid}} & ~done;
  assign s_axis_tready = &(done | m_axis_tready);

  always_ff @(posedge clk) begin
    if (rst || s_axis_tready) done <= '0;
    else done <= done | (m_axis_tvalid & m_axis_tready);
  end
endmodule
