// axis_output: the way out to a byte-oriented AXI4-Stream.
//
// Formula:  out[i] = in[i], sign- or zero-extended to whole bytes.
// Beats:    LANES elements; TLAST is on the last of every BEATS_PER_FRAME beats.
// Rate:     one beat per cycle.
// Latency:  1 cycle.
// Reset:    the next beat is the first of a frame.
module axis_output #(
    parameter int unsigned LANES           = 1,  // elements of a beat
    parameter int unsigned WIDTH           = 8,  // bits of an element
    parameter int unsigned SIGNED          = 1,  // 1: elements are two's complement
    parameter int unsigned BEATS_PER_FRAME = 10  // beats of a frame
) (
    input  logic                             clk,
    input  logic                             rst,
    input  logic [          LANES*WIDTH-1:0] s_axis_tdata,
    input  logic                             s_axis_tvalid,
    output logic                             s_axis_tready,
    output logic [LANES*8*((WIDTH+7)/8)-1:0] m_axis_tdata,
    output logic                             m_axis_tlast,
    output logic                             m_axis_tvalid,
    input  logic                             m_axis_tready
);
  if (LANES < 1 || WIDTH < 1 || BEATS_PER_FRAME < 1) begin : gen_check_positive
    $error("axis_output: LANES (%0d), WIDTH (%0d) and BEATS_PER_FRAME (%0d) must be at least 1", LANES, WIDTH,
           BEATS_PER_FRAME);
  end

  localparam int unsigned SLOT = 8 * ((WIDTH + 7) / 8);
  localparam int unsigned COUNT_WIDTH = BEATS_PER_FRAME > 1 ? $clog2(BEATS_PER_FRAME) : 1;

  logic [LANES*WIDTH-1:0] held;
  logic [COUNT_WIDTH-1:0] count;

  stream_register #(
      .WIDTH(LANES * WIDTH)
  ) u_register (
      .clk          (clk),
      .rst          (rst),
      .s_axis_tdata (s_axis_tdata),
      .s_axis_tvalid(s_axis_tvalid),
      .s_axis_tready(s_axis_tready),
      .m_axis_tdata (held),
      .m_axis_tvalid(m_axis_tvalid),
      .m_axis_tready(m_axis_tready)
  );

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    if (SLOT > WIDTH) begin : gen_extend
      assign m_axis_tdata[i*SLOT+:SLOT] = {
        {SLOT - WIDTH{SIGNED != 0 && held[i*WIDTH+WIDTH-1]}}, held[i*WIDTH+:WIDTH]
      };
    end else begin : gen_same
      assign m_axis_tdata[i*SLOT+:SLOT] = held[i*WIDTH+:WIDTH];
    end
  end

  assign m_axis_tlast = count == COUNT_WIDTH'(BEATS_PER_FRAME - 1);

  always_ff @(posedge clk) begin
    if (rst) count <= '0;
    else if (m_axis_tvalid && m_axis_tready) count <= m_axis_tlast ? '0 : count + 1'b1;
  end
endmodule
