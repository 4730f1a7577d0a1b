// window: the sliding window of a convolution, with stride and zero padding.
//
// Formula:  out[oy, ox][ky, kx, c] = in[oy*STRIDE_H - PAD_TOP + ky, ox*STRIDE_W - PAD_LEFT + kx, c],
//           or 0 where that lies outside the image.
// Beats:    in: LANES channels of a pixel, which takes GROUPS = CHANNELS/LANES beats; pixels rows first; frames
//           follow back to back.
//           out: the window of these channels, KERNEL_H*KERNEL_W*LANES elements, lane l of tap (ky, kx) at index
//           (ky*KERNEL_W + kx)*LANES + l; channel groups first, then output positions, rows first.
// Rate:     one beat in, and at most one out, per cycle. A frame takes STEPS*GROUPS cycles when nothing
//           stalls: HEIGHT*WIDTH steps, and those that push the last windows out, which need no input.
// Latency:  a beat is at the output 2 cycles after its last pixel's beat was taken.
// Reset:    the next beat is the first of a frame. The memories keep their content, which is masked.
//
// Every step shifts one pixel into KERNEL_H x KERNEL_W registers; the rows above it come from a line
// memory. Of a pixel in several beats, the columns before it come from a memory as well, a word a group. Padding takes no steps: where the window wraps round the image's edge, it is masked on its way
// into the output register, which lets the shifting run ahead of the receiver.
module window #(
    parameter int unsigned IN_WIDTH   = 4,   // bits of an element
    parameter int unsigned CHANNELS   = 16,  // elements of a pixel
    parameter int unsigned LANES      = CHANNELS,  // elements of a beat; divides CHANNELS
    parameter int unsigned HEIGHT     = 8,   // rows of the image
    parameter int unsigned WIDTH      = 8,   // columns of the image
    parameter int unsigned KERNEL_H   = 3,   // rows of the window
    parameter int unsigned KERNEL_W   = 3,   // columns of the window
    parameter int unsigned STRIDE_H   = 1,   // rows from one window to the next
    parameter int unsigned STRIDE_W   = 1,   // columns from one window to the next
    parameter int unsigned PAD_TOP    = 1,   // rows of zeros above the image
    parameter int unsigned PAD_LEFT   = 1,   // columns of zeros on its left
    parameter int unsigned PAD_BOTTOM = 1,   // rows of zeros below it
    parameter int unsigned PAD_RIGHT  = 1    // columns of zeros on its right
) (
    input  logic                                           clk,
    input  logic                                           rst,
    input  logic [                     LANES*IN_WIDTH-1:0] s_axis_tdata,
    input  logic                                           s_axis_tvalid,
    output logic                                           s_axis_tready,
    output logic [   KERNEL_H*KERNEL_W*LANES*IN_WIDTH-1:0] m_axis_tdata,
    output logic                                           m_axis_tvalid,
    input  logic                                           m_axis_tready
);
  if (IN_WIDTH < 1 || CHANNELS < 1 || HEIGHT < 1 || WIDTH < 1 || KERNEL_H < 1 || KERNEL_W < 1) begin : gen_check_size
    $error("window: IN_WIDTH (%0d), CHANNELS (%0d), HEIGHT (%0d), WIDTH (%0d), KERNEL_H (%0d) and KERNEL_W (%0d) must be at least 1",
           IN_WIDTH, CHANNELS, HEIGHT, WIDTH, KERNEL_H, KERNEL_W);
  end
  if (LANES < 1 || CHANNELS % LANES != 0) begin : gen_check_lanes
    $error("window: LANES (%0d) must divide CHANNELS (%0d)", LANES, CHANNELS);
  end
  if (STRIDE_H < 1 || STRIDE_W < 1) begin : gen_check_stride
    $error("window: STRIDE_H (%0d) and STRIDE_W (%0d) must be at least 1", STRIDE_H, STRIDE_W);
  end
  if (PAD_TOP + PAD_BOTTOM >= KERNEL_H || PAD_LEFT + PAD_RIGHT >= KERNEL_W) begin : gen_check_pad
    $error("window: PAD_TOP + PAD_BOTTOM (%0d) must be less than KERNEL_H (%0d), PAD_LEFT + PAD_RIGHT (%0d) than KERNEL_W (%0d)",
           PAD_TOP + PAD_BOTTOM, KERNEL_H, PAD_LEFT + PAD_RIGHT, KERNEL_W);
  end
  if (KERNEL_H > HEIGHT + PAD_TOP + PAD_BOTTOM || KERNEL_W > WIDTH + PAD_LEFT + PAD_RIGHT) begin : gen_check_kernel
    $error("window: a KERNEL_H x KERNEL_W (%0d x %0d) window must fit the padded image", KERNEL_H, KERNEL_W);
  end

  localparam int unsigned PIXEL = LANES * IN_WIDTH;  // the part of a pixel that is in a beat
  localparam int unsigned GROUPS = CHANNELS / LANES;
  localparam int unsigned GROUP_WIDTH = GROUPS > 1 ? $clog2(GROUPS) : 1;
  localparam int unsigned ROW = KERNEL_W * PIXEL;
  localparam int unsigned OUT_H = (HEIGHT + PAD_TOP + PAD_BOTTOM - KERNEL_H) / STRIDE_H + 1;
  localparam int unsigned OUT_W = (WIDTH + PAD_LEFT + PAD_RIGHT - KERNEL_W) / STRIDE_W + 1;

  // A step's number, counted from a frame's first pixel. The window whose corner lies at row y, column x
  // (counted from the first window's corner) is complete after step LEAD + y*WIDTH + x.
  localparam int unsigned PIXELS = HEIGHT * WIDTH;
  localparam int unsigned LEAD = (KERNEL_H - 1 - PAD_TOP) * WIDTH + KERNEL_W - 1 - PAD_LEFT;
  localparam int unsigned LAST_Y = (OUT_H - 1) * STRIDE_H;
  localparam int unsigned LAST_X = (OUT_W - 1) * STRIDE_W;
  localparam int unsigned LAST_WINDOW = LEAD + LAST_Y * WIDTH + LAST_X;
  localparam int unsigned STEPS = LAST_WINDOW >= PIXELS ? LAST_WINDOW + 1 : PIXELS;
  localparam int unsigned STEP_WIDTH = $clog2(STEPS + 1);
  localparam int unsigned X_WIDTH = $clog2(WIDTH + KERNEL_W + 1);
  localparam int unsigned Y_WIDTH = $clog2(HEIGHT + KERNEL_H + 1);
  localparam int unsigned PHASE_X_WIDTH = STRIDE_W > 1 ? $clog2(STRIDE_W) : 1;
  localparam int unsigned PHASE_Y_WIDTH = STRIDE_H > 1 ? $clog2(STRIDE_H) : 1;

  logic [   STEP_WIDTH-1:0] step_count;
  logic [      X_WIDTH-1:0] corner_x;
  logic [      Y_WIDTH-1:0] corner_y;
  logic [PHASE_X_WIDTH-1:0] phase_x;   // corner_x modulo STRIDE_W
  logic [PHASE_Y_WIDTH-1:0] phase_y;
  logic                     leading;   // no window is complete yet
  logic                     flushing;  // all pixels are in
  logic [  GROUP_WIDTH-1:0] group;     // of the pixel's channels
  logic                     last_group;
  logic                     step;      // a beat's; those of a pixel make its step
  logic                     last_step;
  logic                     complete;  // this step completes a window that is wanted
  logic                     accept;    // the output register takes a window, or none is waiting
  logic                     waiting;   // the shift registers hold a window for the output register

  assign flushing      = step_count >= STEP_WIDTH'(PIXELS);
  assign leading       = step_count < STEP_WIDTH'(LEAD);
  assign last_group    = GROUPS == 1 || group == GROUP_WIDTH'(GROUPS - 1);
  assign last_step     = step_count == STEP_WIDTH'(STEPS - 1);
  assign accept        = !waiting || !m_axis_tvalid || m_axis_tready;
  assign s_axis_tready = accept && !flushing;
  assign step          = accept && (flushing || s_axis_tvalid);
  assign complete      = !leading && phase_x == '0 && phase_y == '0 && corner_x <= X_WIDTH'(LAST_X) &&
                         corner_y <= Y_WIDTH'(LAST_Y);

  always_ff @(posedge clk) begin
    if (rst) group <= '0;
    else if (step) group <= last_group ? '0 : group + 1'b1;
  end

  always_ff @(posedge clk) begin
    if (rst) begin
      step_count <= '0;
      corner_x   <= '0;
      corner_y   <= '0;
      phase_x    <= '0;
      phase_y    <= '0;
    end else if (step && last_group && last_step) begin
      step_count <= '0;
      corner_x   <= '0;
      corner_y   <= '0;
      phase_x    <= '0;
      phase_y    <= '0;
    end else if (step && last_group) begin
      step_count <= step_count + 1'b1;
      if (!leading) begin
        if (corner_x == X_WIDTH'(WIDTH - 1)) begin
          corner_x <= '0;
          phase_x  <= '0;
          corner_y <= corner_y + 1'b1;
          phase_y  <= (phase_y == PHASE_Y_WIDTH'(STRIDE_H - 1)) ? '0 : phase_y + 1'b1;
        end else begin
          corner_x <= corner_x + 1'b1;
          phase_x  <= (phase_x == PHASE_X_WIDTH'(STRIDE_W - 1)) ? '0 : phase_x + 1'b1;
        end
      end
    end
  end

  // The column of pixels that a step shifts in: row ky = 0, the oldest, in the low bits.
  logic [KERNEL_H*PIXEL-1:0] column;

  if (KERNEL_H > 1) begin : gen_lines
    localparam int unsigned LINE = WIDTH * GROUPS;
    localparam int unsigned ADDR_WIDTH = LINE > 1 ? $clog2(LINE) : 1;
    (* ram_style = "distributed" *) logic [(KERNEL_H-1)*PIXEL-1:0] lines[0:LINE-1];
    logic [ADDR_WIDTH-1:0] addr;
    assign column = {s_axis_tdata, lines[addr]};
    always_ff @(posedge clk) begin
      if (step) lines[addr] <= column[KERNEL_H*PIXEL-1:PIXEL];
    end
    always_ff @(posedge clk) begin
      if (rst) addr <= '0;
      else if (step) addr <= ((last_step && last_group) || addr == ADDR_WIDTH'(LINE - 1)) ? '0 : addr + 1'b1;
    end
  end else begin : gen_no_lines
    assign column = s_axis_tdata;
  end

  // Which rows and columns of the window lie inside the image.
  logic [KERNEL_H-1:0] inside_y;
  logic [KERNEL_W-1:0] inside_x;

  always_ff @(posedge clk) begin
    if (step) begin
      for (int unsigned ky = 0; ky < KERNEL_H; ky++) begin
        inside_y[ky] <= corner_y + Y_WIDTH'(ky) >= Y_WIDTH'(PAD_TOP) &&
                        corner_y + Y_WIDTH'(ky) < Y_WIDTH'(HEIGHT + PAD_TOP);
      end
      for (int unsigned kx = 0; kx < KERNEL_W; kx++) begin
        inside_x[kx] <= corner_x + X_WIDTH'(kx) >= X_WIDTH'(PAD_LEFT) &&
                        corner_x + X_WIDTH'(kx) < X_WIDTH'(WIDTH + PAD_LEFT);
      end
    end
  end

  // The window, row ky = 0 and kx = 0 in the low bits; and what stood in it one pixel ago, of the same channels.
  logic [KERNEL_H*ROW-1:0] taps, shifted, previous;

  if (GROUPS > 1 && KERNEL_W > 1) begin : gen_history
    localparam int unsigned KEPT = ROW - PIXEL;  // of a row: all but the oldest tap
    (* ram_style = "distributed" *) logic [KERNEL_H*KEPT-1:0] history[0:GROUPS-1];
    logic [KERNEL_H*KEPT-1:0] read, written;
    assign read = history[group];
    for (genvar ky = 0; ky < KERNEL_H; ky++) begin : gen_row
      assign previous[ky*ROW+:ROW]    = {read[ky*KEPT+:KEPT], PIXEL'(0)};
      assign written[ky*KEPT+:KEPT] = shifted[ky*ROW+PIXEL+:KEPT];
    end
    always_ff @(posedge clk) begin
      if (step) history[group] <= written;
    end
  end else begin : gen_no_history
    assign previous = taps;
  end

  // Masking is a synchronous reset of the output register.
  for (genvar ky = 0; ky < KERNEL_H; ky++) begin : gen_row
    assign shifted[ky*ROW+:ROW] = ROW'({column[ky*PIXEL+:PIXEL], previous[ky*ROW+:ROW]} >> PIXEL);
    always_ff @(posedge clk) begin
      if (step) taps[ky*ROW+:ROW] <= shifted[ky*ROW+:ROW];
    end
    for (genvar kx = 0; kx < KERNEL_W; kx++) begin : gen_tap
      always_ff @(posedge clk) begin
        if (!m_axis_tvalid || m_axis_tready) begin
          if (inside_y[ky] && inside_x[kx]) m_axis_tdata[ky*ROW+kx*PIXEL+:PIXEL] <= taps[ky*ROW+kx*PIXEL+:PIXEL];
          else m_axis_tdata[ky*ROW+kx*PIXEL+:PIXEL] <= '0;
        end
      end
    end
  end

  always_ff @(posedge clk) begin
    if (rst) begin
      waiting       <= 1'b0;
      m_axis_tvalid <= 1'b0;
    end else begin
      if (step) waiting <= complete;
      else if (accept) waiting <= 1'b0;
      if (!m_axis_tvalid || m_axis_tready) m_axis_tvalid <= waiting;
    end
  end
endmodule
