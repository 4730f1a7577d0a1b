// pipeline_control: the handshake of a pipeline that computes something new in every cycle.
//
// Formula:  out = in, as far as the handshake goes.
// Beats:    a beat that is taken leaves STAGES enabled cycles later; the pipeline's registers move when enable is high.
// Rate:     one beat a cycle. When a beat at the end is not taken, the whole pipeline halts.
// Latency:  STAGES cycles.
// Reset:    forgets all beats.
module pipeline_control #(
    parameter int unsigned STAGES = 3  // registers one after the other
) (
    input  logic clk,
    input  logic rst,
    input  logic s_axis_tvalid,
    output logic s_axis_tready,
    output logic enable,
    output logic m_axis_tvalid,
    input  logic m_axis_tready
);
  if (STAGES < 1) begin : gen_check
    $error("pipeline_control: STAGES (%0d) must be at least 1", STAGES);
  end

  logic [STAGES-1:0] valid;

  assign m_axis_tvalid = valid[STAGES-1];
  assign enable        = m_axis_tready || !m_axis_tvalid;
  assign s_axis_tready = enable;

  always_ff @(posedge clk) begin
    if (rst) valid <= '0;
    else if (enable) valid <= STAGES'({valid, s_axis_tvalid});
  end
endmodule
