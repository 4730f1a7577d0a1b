// frame_configuration: takes a copy of the configuration with the first beat of every frame.
//
// Formula:  m_configuration = the fields of `configuration` in the cycle in which a frame's first beat passes; an index
//           of COUNT or more counts as COUNT - 1, so that every configuration can be worked with.
// Beats:    the stream passes by: its valid and ready go through here, its data need not. BEATS_PER_FRAME beats are a
//           frame. One beat of m_configuration for each frame.
// Rate:     one beat per cycle; the first beat of a frame waits while the configuration of the frame before has not
//           been taken.
// Latency:  0 for the stream, 1 cycle for a configuration after its frame's first beat.
// Reset:    the next beat is the first of a frame; a configuration that waits is dropped.
//
// This is what lets frames of different configurations follow each other: every unit that needs to know gets a copy
// into a queue of its own and takes the next one when its own frame ends. A full queue stops the next frame here, and
// nothing else: all of the frames before it have been let in whole, and no unit needs a later frame to finish an
// earlier one, so that the unit behind the full queue will end its frame and make room.
module frame_configuration #(
    parameter int unsigned FIELDS          = 8,    // layers that have a choice
    parameter int unsigned COUNT           = 3,    // choices, 2 to 4
    parameter int unsigned BEATS_PER_FRAME = 1024  // beats of a frame
) (
    input  logic                            clk,
    input  logic                            rst,
    input  logic [FIELDS*$clog2(COUNT)-1:0] configuration,
    input  logic                            s_axis_tvalid,
    output logic                            s_axis_tready,
    output logic                            m_axis_tvalid,
    input  logic                            m_axis_tready,
    output logic [FIELDS*$clog2(COUNT)-1:0] m_configuration_tdata,
    output logic                            m_configuration_tvalid,
    input  logic                            m_configuration_tready
);
  if (FIELDS < 1 || BEATS_PER_FRAME < 1) begin : gen_check_positive
    $error("frame_configuration: FIELDS (%0d) and BEATS_PER_FRAME (%0d) must be at least 1", FIELDS, BEATS_PER_FRAME);
  end
  if (COUNT < 2 || COUNT > 4) begin : gen_check_count
    $error("frame_configuration: COUNT (%0d) must be 2 to 4", COUNT);
  end

  localparam int unsigned FIELD_WIDTH = $clog2(COUNT);
  localparam int unsigned COUNT_WIDTH = BEATS_PER_FRAME > 1 ? $clog2(BEATS_PER_FRAME) : 1;

  logic [       COUNT_WIDTH-1:0] beats;
  logic                          first, last, hold, pass;
  logic [FIELDS*FIELD_WIDTH-1:0] legal;

  assign first         = beats == '0;
  assign last          = beats == COUNT_WIDTH'(BEATS_PER_FRAME - 1);
  assign hold          = first && m_configuration_tvalid;
  assign m_axis_tvalid = s_axis_tvalid && !hold;
  assign s_axis_tready = m_axis_tready && !hold;
  assign pass          = s_axis_tvalid && s_axis_tready;

  for (genvar f = 0; f < FIELDS; f++) begin : gen_field
    logic [FIELD_WIDTH-1:0] given;
    assign given = configuration[f*FIELD_WIDTH+:FIELD_WIDTH];
    if (2 ** FIELD_WIDTH > COUNT) begin : gen_limit
      assign legal[f*FIELD_WIDTH+:FIELD_WIDTH] = given >= FIELD_WIDTH'(COUNT) ? FIELD_WIDTH'(COUNT - 1) : given;
    end else begin : gen_all
      assign legal[f*FIELD_WIDTH+:FIELD_WIDTH] = given;
    end
  end

  always_ff @(posedge clk) begin
    if (rst) begin
      beats                  <= '0;
      m_configuration_tvalid <= 1'b0;
    end else begin
      if (pass) beats <= last ? '0 : beats + 1'b1;
      if (pass && first) m_configuration_tvalid <= 1'b1;
      else if (m_configuration_tready) m_configuration_tvalid <= 1'b0;
    end
  end

  always_ff @(posedge clk) begin
    if (pass && first) m_configuration_tdata <= legal;
  end
endmodule
