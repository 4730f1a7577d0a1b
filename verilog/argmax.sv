// argmax: the position of the largest of CHANNELS numbers; of several that are equal, the first.
//
// Formula:  out = the least c with in[c] >= in[i] for every i.
// Beats:    in: LANES channels of a vector, CHANNELS/LANES beats, channel g*LANES + lane in beat g.
//           out: one beat a vector.
// Rate:     one beat in per cycle.
// Latency:  2 cycles after the vector's last beat.
// Reset:    the next beat is the first of a vector; forgets what is under way.
//
// A beat's lanes are compared one after the other in one cycle: few lanes make short paths.
module argmax #(
    parameter int unsigned CHANNELS  = 10,  // numbers of a vector
    parameter int unsigned LANES     = 1,   // of a beat; divides CHANNELS
    parameter int unsigned IN_WIDTH  = 16,  // bits of a number
    parameter int unsigned IN_SIGNED = 1,   // 1: numbers are two's complement
    parameter int unsigned OUT_WIDTH = 4    // bits of the position
) (
    input  logic                      clk,
    input  logic                      rst,
    input  logic [LANES*IN_WIDTH-1:0] s_axis_tdata,
    input  logic                      s_axis_tvalid,
    output logic                      s_axis_tready,
    output logic [     OUT_WIDTH-1:0] m_axis_tdata,
    output logic                      m_axis_tvalid,
    input  logic                      m_axis_tready
);
  if (LANES < 1 || CHANNELS % LANES != 0) begin : gen_check_lanes
    $error("argmax: LANES (%0d) must divide CHANNELS (%0d)", LANES, CHANNELS);
  end
  if (CHANNELS < 2 || OUT_WIDTH < $clog2(CHANNELS)) begin : gen_check_out
    $error("argmax: OUT_WIDTH (%0d) must hold CHANNELS (%0d, at least 2) positions", OUT_WIDTH, CHANNELS);
  end

  localparam int unsigned VALUE_WIDTH = IN_WIDTH + 1;

  logic                          advance;
  logic        [OUT_WIDTH-1:0]   first;       // position of the beat's lane 0
  logic                          last;        // the beat is the vector's last
  logic signed [VALUE_WIDTH-1:0] beat_value;  // largest of the beat
  logic        [OUT_WIDTH-1:0]   beat_index;
  logic                          beat_valid, beat_first, beat_last;
  logic signed [VALUE_WIDTH-1:0] best_value;  // largest of the vector so far
  logic        [OUT_WIDTH-1:0]   best_index;
  logic                          better;

  assign advance       = !m_axis_tvalid || m_axis_tready;
  assign s_axis_tready = advance;
  assign last          = first == OUT_WIDTH'(CHANNELS - LANES);

  // Stage 1: the largest lane. A chain in which a later lane wins only if it is larger.
  logic [LANES*VALUE_WIDTH-1:0] values;
  logic [  LANES*OUT_WIDTH-1:0] indices;

  for (genvar l = 0; l < LANES; l++) begin : gen_lane
    logic signed [VALUE_WIDTH-1:0] own;
    assign own = {IN_SIGNED != 0 && s_axis_tdata[l*IN_WIDTH+IN_WIDTH-1], s_axis_tdata[l*IN_WIDTH+:IN_WIDTH]};
    if (l == 0) begin : gen_first
      assign values[0+:VALUE_WIDTH] = own;
      assign indices[0+:OUT_WIDTH]  = first;
    end else begin : gen_next
      logic signed [VALUE_WIDTH-1:0] before_value;
      logic                          larger;
      assign before_value = values[(l-1)*VALUE_WIDTH+:VALUE_WIDTH];
      assign larger       = own > before_value;
      assign values[l*VALUE_WIDTH+:VALUE_WIDTH] = larger ? own : before_value;
      assign indices[l*OUT_WIDTH+:OUT_WIDTH] = larger ? first + OUT_WIDTH'(l) : indices[(l-1)*OUT_WIDTH+:OUT_WIDTH];
    end
  end

  always_ff @(posedge clk) begin
    if (advance) begin
      beat_value <= values[(LANES-1)*VALUE_WIDTH+:VALUE_WIDTH];
      beat_index <= indices[(LANES-1)*OUT_WIDTH+:OUT_WIDTH];
      beat_first <= first == '0;
      beat_last  <= last;
    end
  end

  // Stage 2: against the beats before.
  assign better = beat_first || beat_value > best_value;

  always_ff @(posedge clk) begin
    if (advance && beat_valid && better) begin
      best_value <= beat_value;
      best_index <= beat_index;
    end
    if (advance) m_axis_tdata <= better ? beat_index : best_index;
  end

  always_ff @(posedge clk) begin
    if (rst) begin
      first         <= '0;
      beat_valid    <= 1'b0;
      m_axis_tvalid <= 1'b0;
    end else if (advance) begin
      if (s_axis_tvalid) first <= last ? '0 : first + OUT_WIDTH'(LANES);
      beat_valid    <= s_axis_tvalid;
      m_axis_tvalid <= beat_valid && beat_last;
    end
  end
endmodule
