// width_converter: changes how many elements travel in a beat.
//
// Formula:  the sequence of elements stays; IN_LANES of them come in a beat, OUT_LANES leave in one.
// Beats:    low lanes first. Up (OUT_LANES > IN_LANES): collects OUT_LANES/IN_LANES beats.
//           Down: cuts a beat into IN_LANES/OUT_LANES slices and takes it with its last slice, so
//           that the sender's register is the only copy. Equal: wires.
// Rate:     one beat per cycle on the narrow side.
// Latency:  up: 1 cycle after the last narrow beat; down and equal: 0.
// Reset:    forgets a half-collected beat; the next slice is slice 0.
module width_converter #(
    parameter int unsigned WIDTH     = 8,  // bits of an element
    parameter int unsigned IN_LANES  = 4,  // elements of an incoming beat
    parameter int unsigned OUT_LANES = 1   // elements of an outgoing beat; one divides the other
) (
    input  logic                       clk,
    input  logic                       rst,
    input  logic [ IN_LANES*WIDTH-1:0] s_axis_tdata,
    input  logic                       s_axis_tvalid,
    output logic                       s_axis_tready,
    output logic [OUT_LANES*WIDTH-1:0] m_axis_tdata,
    output logic                       m_axis_tvalid,
    input  logic                       m_axis_tready
);
  if (WIDTH < 1 || IN_LANES < 1 || OUT_LANES < 1) begin : gen_check_positive
    $error("width_converter: WIDTH (%0d), IN_LANES (%0d) and OUT_LANES (%0d) must be at least 1", WIDTH, IN_LANES,
           OUT_LANES);
  end
  if (IN_LANES % OUT_LANES != 0 && OUT_LANES % IN_LANES != 0) begin : gen_check_lanes
    $error("width_converter: one of IN_LANES (%0d) and OUT_LANES (%0d) must divide the other", IN_LANES, OUT_LANES);
  end

  if (IN_LANES == OUT_LANES) begin : gen_equal
    logic unused;
    assign unused        = &{1'b0, clk, rst};
    assign m_axis_tdata  = s_axis_tdata;
    assign m_axis_tvalid = s_axis_tvalid;
    assign s_axis_tready = m_axis_tready;
  end else if (OUT_LANES > IN_LANES) begin : gen_up
    localparam int unsigned BEATS = OUT_LANES / IN_LANES;
    localparam int unsigned IN_BITS = IN_LANES * WIDTH;
    localparam int unsigned OUT_BITS = OUT_LANES * WIDTH;
    localparam int unsigned COUNT_WIDTH = $clog2(BEATS);

    logic [COUNT_WIDTH-1:0] count;
    logic                   take;

    assign s_axis_tready = !m_axis_tvalid || m_axis_tready;
    assign take          = s_axis_tvalid && s_axis_tready;

    always_ff @(posedge clk) begin
      if (take) m_axis_tdata <= {s_axis_tdata, m_axis_tdata[OUT_BITS-1:IN_BITS]};
    end

    always_ff @(posedge clk) begin
      if (rst) begin
        count         <= '0;
        m_axis_tvalid <= 1'b0;
      end else begin
        if (m_axis_tready) m_axis_tvalid <= 1'b0;
        if (take) begin
          count <= count + 1'b1;
          if (count == COUNT_WIDTH'(BEATS - 1)) begin
            count         <= '0;
            m_axis_tvalid <= 1'b1;
          end
        end
      end
    end
  end else begin : gen_down
    localparam int unsigned BEATS = IN_LANES / OUT_LANES;
    localparam int unsigned OUT_BITS = OUT_LANES * WIDTH;
    localparam int unsigned COUNT_WIDTH = $clog2(BEATS);

    logic [COUNT_WIDTH-1:0] count;
    logic                   last;

    assign last          = count == COUNT_WIDTH'(BEATS - 1);
    assign m_axis_tdata  = s_axis_tdata[count*OUT_BITS+:OUT_BITS];
    assign m_axis_tvalid = s_axis_tvalid;
    assign s_axis_tready = m_axis_tready && last;

    always_ff @(posedge clk) begin
      if (rst) count <= '0;
      else if (m_axis_tvalid && m_axis_tready) count <= last ? '0 : count + 1'b1;
    end
  end
endmodule
