// stream_register: cuts a stream in time.
//
// Formula:  out = in.
// Rate:     one beat per cycle. With SPARE it holds up to two beats: one at the output and, for the cycle in which
//           the receiver stops, one beside it; data, valid and ready are all registered. Without, one beat, a third
//           of the hardware: ready passes, through two gates.
// Latency:  1 cycle.
// Reset:    forgets all beats.
module stream_register #(
    parameter int unsigned WIDTH = 8,  // bits of a beat
    parameter int unsigned SPARE = 1   // 1: ready is registered; 0: it passes
) (
    input  logic             clk,
    input  logic             rst,
    input  logic [WIDTH-1:0] s_axis_tdata,
    input  logic             s_axis_tvalid,
    output logic             s_axis_tready,
    output logic [WIDTH-1:0] m_axis_tdata,
    output logic             m_axis_tvalid,
    input  logic             m_axis_tready
);
  if (WIDTH < 1) begin : gen_check_width
    $error("stream_register: WIDTH (%0d) must be at least 1", WIDTH);
  end

  logic advance;

  assign advance = m_axis_tready || !m_axis_tvalid;

  if (SPARE != 0) begin : gen_spare
    logic [WIDTH-1:0] spare;
    logic             spare_valid;

    assign s_axis_tready = !spare_valid;

    always_ff @(posedge clk) begin
      if (s_axis_tready) spare <= s_axis_tdata;
      if (advance) m_axis_tdata <= spare_valid ? spare : s_axis_tdata;
    end

    always_ff @(posedge clk) begin
      if (rst) begin
        m_axis_tvalid <= 1'b0;
        spare_valid   <= 1'b0;
      end else if (advance) begin
        m_axis_tvalid <= spare_valid || s_axis_tvalid;
        spare_valid   <= 1'b0;
      end else if (s_axis_tvalid) begin
        spare_valid <= 1'b1;
      end
    end
  end else begin : gen_one
    assign s_axis_tready = advance;

    always_ff @(posedge clk) if (advance) m_axis_tdata <= s_axis_tdata;

    always_ff @(posedge clk) begin
      if (rst) m_axis_tvalid <= 1'b0;
      else if (advance) m_axis_tvalid <= s_axis_tvalid;
    end
  end
endmodule
