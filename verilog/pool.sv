// pool: the core of max_pool and sum_pool; stride equals kernel, no padding.
//
// Formula:  out[oy, ox, c] = the largest (OP 0), or the sum (OP 1), of
//           in[oy*KERNEL_H + ky, ox*KERNEL_W + kx, c] over ky < KERNEL_H and kx < KERNEL_W.
//           Rows and columns after the last whole window are dropped.
// Beats:    (row, column, channel group) order, LANES channels of a pixel in a beat, in and out.
// Rate:     one beat per cycle in; one out when a window's last pixel comes.
// Latency:  1 cycle after a window's last pixel.
// Reset:    the next beat is the first of a frame. The memory keeps its content, which is written before
//           it is read.
//
// A memory keeps one partial result for each output column and channel group.
module pool #(
    parameter int unsigned OP        = 0,   // 0 maximum, 1 sum
    parameter int unsigned LANES     = 4,   // channels of a beat
    parameter int unsigned CHANNELS  = 16,  // channels of a pixel; LANES divides it
    parameter int unsigned HEIGHT    = 8,   // rows of the image
    parameter int unsigned WIDTH     = 8,   // columns of the image
    parameter int unsigned KERNEL_H  = 2,   // rows of the window
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
  localparam int unsigned GROUPS = CHANNELS / LANES;
  localparam int unsigned OUT_H = HEIGHT / KERNEL_H;
  localparam int unsigned OUT_W = WIDTH / KERNEL_W;
  localparam int unsigned DEPTH = OUT_W * GROUPS;
  localparam int unsigned ADDR_WIDTH = DEPTH > 1 ? $clog2(DEPTH) : 1;
  localparam int unsigned GROUP_WIDTH = GROUPS > 1 ? $clog2(GROUPS) : 1;
  localparam int unsigned X_WIDTH = $clog2(WIDTH + 1);
  localparam int unsigned Y_WIDTH = $clog2(HEIGHT + 1);
  localparam int unsigned KX_WIDTH = KERNEL_W > 1 ? $clog2(KERNEL_W) : 1;
  localparam int unsigned KY_WIDTH = KERNEL_H > 1 ? $clog2(KERNEL_H) : 1;

  logic [GROUP_WIDTH-1:0] group;
  logic [    X_WIDTH-1:0] x;
  logic [    Y_WIDTH-1:0] y;
  logic [   KX_WIDTH-1:0] kx;
  logic [   KY_WIDTH-1:0] ky;
  logic [ ADDR_WIDTH-1:0] addr;  // output column * GROUPS + group
  logic [ ADDR_WIDTH-1:0] base;  // output column * GROUPS
  logic                   last_group, last_x, last_y, last_kx, last_ky;
  logic                   wanted, first, last, take;

  assign last_group    = group == GROUP_WIDTH'(GROUPS - 1);
  assign last_x        = x == X_WIDTH'(WIDTH - 1);
  assign last_y        = y == Y_WIDTH'(HEIGHT - 1);
  assign last_kx       = kx == KX_WIDTH'(KERNEL_W - 1);
  assign last_ky       = ky == KY_WIDTH'(KERNEL_H - 1);
  assign wanted        = x < X_WIDTH'(OUT_W * KERNEL_W) && y < Y_WIDTH'(OUT_H * KERNEL_H);
  assign first         = kx == '0 && ky == '0;
  assign last          = wanted && last_kx && last_ky;
  assign s_axis_tready = !last || !m_axis_tvalid || m_axis_tready;
  assign take          = s_axis_tvalid && s_axis_tready;
  assign addr          = base + ADDR_WIDTH'(group);

  always_ff @(posedge clk) begin
    if (rst) begin
      group <= '0;
      x     <= '0;
      y     <= '0;
      kx    <= '0;
      ky    <= '0;
      base  <= '0;
    end else if (take) begin
      group <= last_group ? '0 : group + 1'b1;
      if (last_group) begin
        x  <= last_x ? '0 : x + 1'b1;
        kx <= (last_x || last_kx) ? '0 : kx + 1'b1;
        if (last_x) base <= '0;
        else if (last_kx && x < X_WIDTH'((OUT_W - 1) * KERNEL_W)) base <= base + ADDR_WIDTH'(GROUPS);
        if (last_x) begin
          y  <= last_y ? '0 : y + 1'b1;
          ky <= (last_y || last_ky) ? '0 : ky + 1'b1;
        end
      end
    end
  end

  (* ram_style = "distributed" *) logic [LANES*OUT_WIDTH-1:0] partial[0:DEPTH-1];
  logic [LANES*OUT_WIDTH-1:0] stored;
  logic [LANES*OUT_WIDTH-1:0] updated;

  assign stored = partial[addr];

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    logic [OUT_WIDTH-1:0] value;
    logic [OUT_WIDTH-1:0] so_far;
    assign so_far = stored[i*OUT_WIDTH+:OUT_WIDTH];
    if (OUT_WIDTH > IN_WIDTH) begin : gen_extend
      assign value = {
        {OUT_WIDTH - IN_WIDTH{IN_SIGNED != 0 && s_axis_tdata[i*IN_WIDTH+IN_WIDTH-1]}},
        s_axis_tdata[i*IN_WIDTH+:IN_WIDTH]
      };
    end else begin : gen_same
      assign value = s_axis_tdata[i*IN_WIDTH+:OUT_WIDTH];
    end
    if (OP == 0) begin : gen_max
      logic larger;
      if (IN_SIGNED != 0) begin : gen_signed
        assign larger = $signed(value) > $signed(so_far);
      end else begin : gen_unsigned
        assign larger = value > so_far;
      end
      assign updated[i*OUT_WIDTH+:OUT_WIDTH] = (first || larger) ? value : so_far;
    end else begin : gen_sum
      assign updated[i*OUT_WIDTH+:OUT_WIDTH] = (first ? '0 : so_far) + value;
    end
  end

  always_ff @(posedge clk) begin
    if (take && wanted && !last) partial[addr] <= updated;
    if (take && last) m_axis_tdata <= updated;
  end

  always_ff @(posedge clk) begin
    if (rst) m_axis_tvalid <= 1'b0;
    else if (take && last) m_axis_tvalid <= 1'b1;
    else if (m_axis_tready) m_axis_tvalid <= 1'b0;
  end
endmodule
