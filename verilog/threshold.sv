// threshold: an activation function as a count of thresholds reached, per channel.
//
// Formula:  out[c] = OFFSET + (number of i < NUM_THRESHOLDS with x[c] >= T[c, i]); in a flipped channel it is
//           x[c] <= T[c, i], computed as ~x >= ~T.
// Beats:    beat g carries the channels g*LANES + lane; LANES channels in, LANES codes out.
// Rate:     one beat per cycle.
// Latency:  STYLE 0: 4 cycles. STYLE 1: 1 + BITS cycles, BITS = log2(NUM_THRESHOLDS + 1) rounded up.
// Reset:    the next beat is channel group 0.
// File:     hexadecimal words for $readmemh, made by flow.rtl.memory.pack_threshold: for each channel group a
//           search tree of 2^BITS words, word g*2^BITS + h with node h of every lane, lane 0 lowest. The root
//           is node 1, below node h are 2h (not reached) and 2h+1 (reached). Node 0 is the flip (bit 0).
//           A node is a threshold, complemented in a flipped channel, in two's complement of IN_WIDTH + 1 bits,
//           one more for unsigned inputs; those that are missing to 2^BITS - 1 lie above what x can reach.
module threshold #(
    parameter int unsigned CHANNELS       = 16,  // channels
    parameter int unsigned LANES          = 4,   // channels of a beat; divides CHANNELS
    parameter int unsigned IN_WIDTH       = 12,  // bits of an input
    parameter int unsigned IN_SIGNED      = 1,   // 1: inputs are two's complement
    parameter int unsigned NUM_THRESHOLDS = 15,  // thresholds of a channel
    parameter int unsigned OUT_WIDTH      = 4,   // bits of a code
    parameter int          OFFSET         = 0,   // code below the first threshold
    parameter int unsigned STYLE          = 1,   // 0 all thresholds at once, 1 binary search
    parameter              INIT_FILE      = ""   // search trees
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
  if (LANES < 1 || CHANNELS % LANES != 0) begin : gen_check_lanes
    $error("threshold: LANES (%0d) must divide CHANNELS (%0d)", LANES, CHANNELS);
  end
  if (NUM_THRESHOLDS < 1 || NUM_THRESHOLDS > 255) begin : gen_check_thresholds
    $error("threshold: NUM_THRESHOLDS (%0d) must be from 1 to 255", NUM_THRESHOLDS);
  end
  if (STYLE > 1) begin : gen_check_style
    $error("threshold: STYLE (%0d) must be 0 or 1", STYLE);
  end

  localparam int unsigned BITS = $clog2(NUM_THRESHOLDS + 1);
  localparam int unsigned VALUE_WIDTH = IN_SIGNED != 0 ? IN_WIDTH : IN_WIDTH + 1;  // x and ~x
  localparam int unsigned GROUPS = CHANNELS / LANES;
  localparam int unsigned GROUP_WIDTH = GROUPS > 1 ? $clog2(GROUPS) : 1;
  localparam int unsigned STAGES = STYLE == 0 ? 3 : BITS;

  logic                         advance;
  logic [GROUP_WIDTH-1:0]       group;
  logic [STAGES:0]              valid;  // valid[i]: stage i holds a beat
  logic [LANES*VALUE_WIDTH-1:0] extended;

  assign advance       = !m_axis_tvalid || m_axis_tready;
  assign s_axis_tready = advance;
  assign m_axis_tvalid = valid[STAGES];

  for (genvar l = 0; l < LANES; l++) begin : gen_extend
    if (IN_SIGNED != 0) begin : gen_signed
      assign extended[l*VALUE_WIDTH+:VALUE_WIDTH] = s_axis_tdata[l*IN_WIDTH+:IN_WIDTH];
    end else begin : gen_unsigned
      assign extended[l*VALUE_WIDTH+:VALUE_WIDTH] = {1'b0, s_axis_tdata[l*IN_WIDTH+:IN_WIDTH]};
    end
  end

  always_ff @(posedge clk) begin
    if (rst) begin
      group <= '0;
      valid <= '0;
    end else if (advance) begin
      valid <= {valid[STAGES-1:0], s_axis_tvalid};
      if (s_axis_tvalid) group <= (group == GROUP_WIDTH'(GROUPS - 1)) ? '0 : group + 1'b1;
    end
  end

  if (STYLE == 0) begin : gen_parallel
    threshold_parallel #(
        .LANES      (LANES),
        .GROUPS     (GROUPS),
        .VALUE_WIDTH(VALUE_WIDTH),
        .BITS       (BITS),
        .OUT_WIDTH  (OUT_WIDTH),
        .OFFSET     (OFFSET),
        .INIT_FILE  (INIT_FILE)
    ) u_parallel (
        .clk   (clk),
        .enable(advance),
        .group (group),
        .values(extended),
        .codes (m_axis_tdata)
    );
  end else begin : gen_search
    threshold_search #(
        .LANES      (LANES),
        .GROUPS     (GROUPS),
        .VALUE_WIDTH(VALUE_WIDTH),
        .BITS       (BITS),
        .OUT_WIDTH  (OUT_WIDTH),
        .OFFSET     (OFFSET),
        .INIT_FILE  (INIT_FILE)
    ) u_search (
        .clk   (clk),
        .enable(advance),
        .group (group),
        .values(extended),
        .codes (m_axis_tdata)
    );
  end
endmodule
