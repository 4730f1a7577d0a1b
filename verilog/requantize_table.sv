// requantize_table: a requantize whose constants each frame selects.
//
// Formula:  out[c] = saturate((x[c] * M[t, c] + B[t, c]) >>> SHIFT) as in requantize and affine, at most maximum[t];
//           t is a number of SELECT digits of base COUNT.
// Beats:    beat g carries the channels g*LANES + lane; LANES channels in, LANES results out. A frame is PIXELS times
//           CHANNELS/LANES beats.
//           configuration: one beat a frame, the digits of t, the first and most significant one in the low bits. It
//           may come before the frame, or after its first beat, which then waits.
// Rate:     one beat per cycle, no bubble between frames.
// Latency:  5 cycles: read, wait, multiply, add, shift and saturate; 1 more with x and M both over 18 bits. A frame's
//           first beat is taken a cycle after its configuration at the earliest.
// Reset:    the next beat is a frame's first, and the next configuration is its own.
// File:     hexadecimal words for $readmemh, made by flow.rtl.memory.pack_requantize_table. Word t*GROUPS + g, with
//           GROUPS = CHANNELS/LANES, is {maximum, ..., lane 1, lane 0}, lane = {B, M} in two's complement.
module requantize_table #(
    parameter int unsigned CHANNELS   = 16,  // channels
    parameter int unsigned LANES      = 1,   // channels of a beat; divides CHANNELS
    parameter int unsigned PIXELS     = 64,  // pixels of a frame
    parameter int unsigned IN_WIDTH   = 16,  // bits of an input
    parameter int unsigned IN_SIGNED  = 1,   // 1: inputs are two's complement
    parameter int unsigned MULT_WIDTH = 16,  // bits of M, two's complement
    parameter int unsigned BIAS_WIDTH = 32,  // bits of B, two's complement
    parameter int unsigned SHIFT      = 16,  // bits dropped
    parameter int unsigned OUT_WIDTH  = 4,   // bits of a result
    parameter int unsigned OUT_SIGNED = 0,   // 1: results are two's complement
    parameter int unsigned COUNT      = 3,   // values of a digit, 2 to 4
    parameter int unsigned SELECT     = 3,   // digits, 1 to 3
    parameter int unsigned STYLE      = 0,   // memory: 0 the tool's choice, 1 distributed (LUT), 2 block
    parameter              INIT_FILE  = ""   // M, B and maximum
) (
    input  logic                            clk,
    input  logic                            rst,
    input  logic [      LANES*IN_WIDTH-1:0] s_axis_tdata,
    input  logic                            s_axis_tvalid,
    output logic                            s_axis_tready,
    input  logic [SELECT*$clog2(COUNT)-1:0] s_configuration_tdata,
    input  logic                            s_configuration_tvalid,
    output logic                            s_configuration_tready,
    output logic [     LANES*OUT_WIDTH-1:0] m_axis_tdata,
    output logic                            m_axis_tvalid,
    input  logic                            m_axis_tready
);
  if (LANES < 1 || CHANNELS % LANES != 0) begin : gen_check_lanes
    $error("requantize_table: LANES (%0d) must divide CHANNELS (%0d)", LANES, CHANNELS);
  end
  if (PIXELS < 1 || IN_WIDTH < 1 || MULT_WIDTH < 1 || BIAS_WIDTH < 1 || OUT_WIDTH < 1) begin : gen_check_width
    $error("requantize_table: PIXELS (%0d) and all widths (%0d, %0d, %0d, %0d) must be at least 1", PIXELS, IN_WIDTH,
           MULT_WIDTH, BIAS_WIDTH, OUT_WIDTH);
  end
  if (COUNT < 2 || COUNT > 4 || SELECT < 1 || SELECT > 3) begin : gen_check_select
    $error("requantize_table: COUNT (%0d) must be 2 to 4, SELECT (%0d) 1 to 3", COUNT, SELECT);
  end

  localparam int unsigned X_WIDTH = IN_SIGNED != 0 ? IN_WIDTH : IN_WIDTH + 1;
  localparam int unsigned LANE_WIDTH = MULT_WIDTH + BIAS_WIDTH;
  localparam int unsigned WORD_WIDTH = LANES * LANE_WIDTH + OUT_WIDTH;
  localparam int unsigned SPLIT = X_WIDTH > 18 && MULT_WIDTH > 18 ? 1 : 0;
  localparam int unsigned STAGES = 5 + SPLIT;
  localparam int unsigned WAIT = 2 + SPLIT;  // cycles from the constants to their use of the maximum
  localparam int unsigned GROUPS = CHANNELS / LANES;
  localparam int unsigned GROUP_WIDTH = GROUPS > 1 ? $clog2(GROUPS) : 1;
  localparam int unsigned PIXEL_WIDTH = PIXELS > 1 ? $clog2(PIXELS) : 1;
  localparam int unsigned FIELD_WIDTH = $clog2(COUNT);
  localparam int unsigned DEPTH = COUNT ** SELECT * GROUPS;
  localparam int unsigned ADDR_WIDTH = $clog2(DEPTH);

  logic                      advance;
  logic                      beat;
  logic                      load;      // a frame's configuration is taken
  logic                      loaded;    // one is there
  logic                      last_group, last_pixel, last_beat;
  logic [   GROUP_WIDTH-1:0] group;
  logic [   PIXEL_WIDTH-1:0] pixel;
  logic [    ADDR_WIDTH-1:0] selected;  // the first word of the table that comes
  logic [    ADDR_WIDTH-1:0] first;     // and of this frame's
  logic [    ADDR_WIDTH-1:0] addr;
  logic [        STAGES-1:0] valid;
  logic [    WORD_WIDTH-1:0] word;
  logic [    WORD_WIDTH-1:0] constants;  // a register behind the memory, since block RAM is slow to answer
  logic [LANES*IN_WIDTH-1:0] values;
  logic [WAIT*OUT_WIDTH-1:0] maxima;     // the newest lowest
  logic [     OUT_WIDTH-1:0] maximum;

  assign advance                = !m_axis_tvalid || m_axis_tready;
  assign s_axis_tready          = advance && loaded;
  assign beat                   = s_axis_tvalid && s_axis_tready;
  assign last_group             = group == GROUP_WIDTH'(GROUPS - 1);
  assign last_pixel             = pixel == PIXEL_WIDTH'(PIXELS - 1);
  assign last_beat              = beat && last_group && last_pixel;
  assign s_configuration_tready = !loaded || last_beat;
  assign load                   = s_configuration_tvalid && s_configuration_tready;
  assign m_axis_tvalid          = valid[STAGES-1];
  assign maximum                = maxima[(WAIT-1)*OUT_WIDTH+:OUT_WIDTH];

  // Sum of the digits' places; no multiplication.
  always_comb begin
    selected = '0;
    for (int unsigned s = 0; s < SELECT; s++) begin
      for (int unsigned b = 0; b < FIELD_WIDTH; b++) begin
        if (s_configuration_tdata[s*FIELD_WIDTH+b]) begin
          selected = selected + ADDR_WIDTH'(GROUPS * COUNT ** (SELECT - 1 - s) << b);
        end
      end
    end
  end

  always_ff @(posedge clk) begin
    if (rst) begin
      loaded <= 1'b0;
      group  <= '0;
      pixel  <= '0;
      valid  <= '0;
    end else begin
      if (load) loaded <= 1'b1;
      else if (last_beat) loaded <= 1'b0;
      if (advance) valid <= STAGES'({valid, beat});
      if (beat) begin
        group <= last_group ? '0 : group + 1'b1;
        if (last_group) pixel <= last_pixel ? '0 : pixel + 1'b1;
      end
    end
  end

  always_ff @(posedge clk) begin
    if (load) begin
      first <= selected;
      addr  <= selected;
    end else if (beat) begin
      addr <= last_group ? first : addr + 1'b1;
    end
  end

  rom #(
      .WIDTH    (WORD_WIDTH),
      .DEPTH    (DEPTH),
      .INIT_FILE(INIT_FILE),
      .STYLE    (STYLE)
  ) u_constants (
      .clk   (clk),
      .enable(advance),
      .addr  (addr),
      .data  (word)
  );

  always_ff @(posedge clk) begin
    if (advance) begin
      constants <= word;
      values    <= s_axis_tdata;
      maxima    <= (WAIT * OUT_WIDTH)'({maxima, constants[LANES*LANE_WIDTH+:OUT_WIDTH]});
    end
  end

  for (genvar l = 0; l < LANES; l++) begin : gen_lane
    affine #(
        .IN_WIDTH  (IN_WIDTH),
        .IN_SIGNED (IN_SIGNED),
        .MULT_WIDTH(MULT_WIDTH),
        .BIAS_WIDTH(BIAS_WIDTH),
        .SHIFT     (SHIFT),
        .OUT_WIDTH (OUT_WIDTH),
        .OUT_SIGNED(OUT_SIGNED)
    ) u_affine (
        .clk      (clk),
        .enable   (advance),
        .value    (values[l*IN_WIDTH+:IN_WIDTH]),
        .constants(constants[l*LANE_WIDTH+:LANE_WIDTH]),
        .maximum  (maximum),
        .code     (m_axis_tdata[l*OUT_WIDTH+:OUT_WIDTH])
    );
  end
endmodule
