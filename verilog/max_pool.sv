// max_pool: the largest element of each window.
//
// Formula:  out[oy, ox, c] = the largest of in[oy*KERNEL_H + ky, ox*KERNEL_W + kx, c] over the window, which moves
//           by its own size. Rows and columns after the last whole window are dropped.
// Beats:    (row, column, channel group) order, LANES channels of a pixel in a beat, in and out.
// Rate:     one beat per cycle in; one out when a window's last pixel comes.
// Latency:  1 cycle after a window's last pixel.
// Reset:    the next beat is the first of a frame.
module max_pool #(
    parameter int unsigned LANES     = 4,   // channels of a beat
    parameter int unsigned CHANNELS  = 16,  // channels of a pixel; LANES divides it
    parameter int unsigned HEIGHT    = 8,   // rows of the image
    parameter int unsigned WIDTH     = 8,   // columns of the image
    parameter int unsigned KERNEL_H  = 2,   // rows of the window; HEIGHT for global pooling
    parameter int unsigned KERNEL_W  = 2,   // columns of the window
    parameter int unsigned IN_WIDTH  = 4,   // bits of an element
    parameter int unsigned IN_SIGNED = 0,   // 1: elements are two's complement
    parameter int unsigned OUT_WIDTH = 4    // bits of a result, signed as the elements are
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
  localparam int unsigned EXACT = IN_WIDTH;

  if (LANES < 1 || CHANNELS % LANES != 0) begin : gen_check_lanes
    $error("max_pool: LANES (%0d) must divide CHANNELS (%0d)", LANES, CHANNELS);
  end
  if (KERNEL_H < 1 || KERNEL_W < 1 || KERNEL_H > HEIGHT || KERNEL_W > WIDTH) begin : gen_check_kernel
    $error("max_pool: KERNEL_H (%0d) and KERNEL_W (%0d) must be from 1 to HEIGHT (%0d) and WIDTH (%0d)", KERNEL_H, KERNEL_W,
           HEIGHT, WIDTH);
  end
  if (OUT_WIDTH < EXACT) begin : gen_check_out
    $error("max_pool: OUT_WIDTH (%0d) must be at least %0d to hold every result", OUT_WIDTH, EXACT);
  end

  pool #(
      .OP       (0),
      .LANES    (LANES),
      .CHANNELS (CHANNELS),
      .HEIGHT   (HEIGHT),
      .WIDTH    (WIDTH),
      .KERNEL_H (KERNEL_H),
      .KERNEL_W (KERNEL_W),
      .IN_WIDTH (IN_WIDTH),
      .IN_SIGNED(IN_SIGNED),
      .OUT_WIDTH(OUT_WIDTH)
  ) u_pool (
      .clk          (clk),
      .rst          (rst),
      .s_axis_tdata (s_axis_tdata),
      .s_axis_tvalid(s_axis_tvalid),
      .s_axis_tready(s_axis_tready),
      .m_axis_tdata (m_axis_tdata),
      .m_axis_tvalid(m_axis_tvalid),
      .m_axis_tready(m_axis_tready)
  );
endmodule
