// axis_input: the way in from a byte-oriented AXI4-Stream.
//
// Formula:  out[i] = the low WIDTH bits of in[i].
// Beats:    in: LANES elements, each padded to whole bytes; out: LANES elements of WIDTH bits.
//           Frames are counted: BEATS_PER_FRAME beats each. TLAST does not frame; a TLAST on another beat
//           than a frame's last, or none on that, sets frame_error, which stays set until reset.
// Rate:     one beat per cycle.
// Latency:  1 cycle.
// Reset:    the next beat is the first of a frame.
module axis_input #(
    parameter int unsigned LANES           = 3,    // elements of a beat
    parameter int unsigned WIDTH           = 8,    // bits of an element
    parameter int unsigned BEATS_PER_FRAME = 1024  // beats of a frame
) (
    input  logic                         clk,
    input  logic                         rst,
    input  logic [LANES*8*((WIDTH+7)/8)-1:0] s_axis_tdata,
    input  logic                         s_axis_tlast,
    input  logic                         s_axis_tvalid,
    output logic                         s_axis_tready,
    output logic [      LANES*WIDTH-1:0] m_axis_tdata,
    output logic                         m_axis_tvalid,
    input  logic                         m_axis_tready,
    output logic                         frame_error
);
  if (LANES < 1 || WIDTH < 1 || BEATS_PER_FRAME < 1) begin : gen_check_positive
    $error("axis_input: LANES (%0d), WIDTH (%0d) and BEATS_PER_FRAME (%0d) must be at least 1", LANES, WIDTH,
           BEATS_PER_FRAME);
  end

  localparam int unsigned SLOT = 8 * ((WIDTH + 7) / 8);
  localparam int unsigned COUNT_WIDTH = BEATS_PER_FRAME > 1 ? $clog2(BEATS_PER_FRAME) : 1;

  logic [LANES*WIDTH-1:0] packed_data;
  logic [COUNT_WIDTH-1:0] count;
  logic                   last;

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    assign packed_data[i*WIDTH+:WIDTH] = s_axis_tdata[i*SLOT+:WIDTH];
    if (SLOT > WIDTH) begin : gen_padding
      logic unused;
      assign unused = &{1'b0, s_axis_tdata[i*SLOT+WIDTH+:SLOT-WIDTH]};
    end
  end

  stream_register #(
      .WIDTH(LANES * WIDTH)
  ) u_register (
      .clk          (clk),
      .rst          (rst),
      .s_axis_tdata (packed_data),
      .s_axis_tvalid(s_axis_tvalid),
      .s_axis_tready(s_axis_tready),
      .m_axis_tdata (m_axis_tdata),
      .m_axis_tvalid(m_axis_tvalid),
      .m_axis_tready(m_axis_tready)
  );

  assign last = count == COUNT_WIDTH'(BEATS_PER_FRAME - 1);

  always_ff @(posedge clk) begin
    if (rst) begin
      count       <= '0;
      frame_error <= 1'b0;
    end else if (s_axis_tvalid && s_axis_tready) begin
      count <= last ? '0 : count + 1'b1;
      if (s_axis_tlast != last) frame_error <= 1'b1;
    end
  end
endmodule
