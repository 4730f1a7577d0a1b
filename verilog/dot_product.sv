// dot_product: SIMD activations times SIMD weights of 1 to 16 bits, one row of a matvec, without multipliers.
//
// Formula:  product = sum over i of activation[i] * weight[i].
// Beats:    weights by bit planes: bit p of weight i at index p*SIMD + i.
//           choices: see plane_sum.
// Rate:     one product per cycle in which enable is high.
// Latency:  2 cycles; 1 more with more than 6 lanes, 1 more with more than 30, 1 more for every 4 bits of a weight
//           over the first 4.
// Reset:    none: there is no state but the pipeline.
//
// Each plane's sum comes from a plane_sum, as a one's complement (see negated_sum).
module dot_product #(
    parameter int unsigned SIMD         = 16,  // lanes
    parameter int unsigned IN_WIDTH     = 4,   // bits of an activation
    parameter int unsigned IN_SIGNED    = 0,   // 1: activations are two's complement
    parameter int unsigned WEIGHT_WIDTH = 4    // bits of a weight, 1 to 16
) (
    input  logic                                                clk,
    input  logic                                                enable,
    input  logic [4*((SIMD + 1) / 2)*2**$clog2(IN_WIDTH+1)-1:0] choices,
    input  logic [                       SIMD*WEIGHT_WIDTH-1:0] weights,
    output logic [   IN_WIDTH+$clog2(SIMD)+WEIGHT_WIDTH-1:0] product
);
  localparam int unsigned MERGE = 4;  // planes of a stage
  localparam int unsigned PLANE_WIDTH = IN_WIDTH + $clog2(SIMD);
  localparam int unsigned ALL_WIDTH = PLANE_WIDTH + WEIGHT_WIDTH;  // all planes together

  // Stages 1 and 2: each plane's sum, as a complement.
  logic [WEIGHT_WIDTH*PLANE_WIDTH-1:0] planes;

  for (genvar p = 0; p < WEIGHT_WIDTH; p++) begin : gen_plane
    plane_sum #(
        .SIMD     (SIMD),
        .IN_WIDTH (IN_WIDTH),
        .IN_SIGNED(IN_SIGNED)
    ) u_plane (
        .clk    (clk),
        .enable (enable),
        .choices(choices),
        .bits   (weights[p*SIMD+:SIMD]),
        .sum    (planes[p*PLANE_WIDTH+:PLANE_WIDTH])
    );
  end

  // Stages from 3 on: planes by their weights, low ones first; each later MERGE planes wait a cycle more. What lies
  // below a plane is passed by; above, adding a plane makes the sum one bit wider.
  localparam int unsigned POSITIVE = WEIGHT_WIDTH - 1;  // planes that add
  (* keep *) logic [(POSITIVE+1)*ALL_WIDTH-1:0] merged;  // entry p: planes below p, complemented
  logic [WEIGHT_WIDTH*PLANE_WIDTH-1:0] waiting;

  assign merged[0+:ALL_WIDTH] = '1;
  for (genvar p = 0; p < WEIGHT_WIDTH; p++) begin : gen_wait
    localparam int unsigned DELAY = p / MERGE;  // cycles
    if (DELAY == 0) begin : gen_now
      assign waiting[p*PLANE_WIDTH+:PLANE_WIDTH] = planes[p*PLANE_WIDTH+:PLANE_WIDTH];
    end else begin : gen_later
      logic [DELAY*PLANE_WIDTH-1:0] late;  // the newest lowest
      always_ff @(posedge clk) begin
        if (enable) late <= (DELAY * PLANE_WIDTH)'({late, planes[p*PLANE_WIDTH+:PLANE_WIDTH]});
      end
      assign waiting[p*PLANE_WIDTH+:PLANE_WIDTH] = late[(DELAY-1)*PLANE_WIDTH+:PLANE_WIDTH];
    end
  end

  for (genvar p = 0; p < POSITIVE; p++) begin : gen_merge
    localparam int unsigned HIGH = p == 0 ? PLANE_WIDTH : PLANE_WIDTH + 1;
    logic [PLANE_WIDTH-1:0] plane;
    logic [  PLANE_WIDTH:0] number;
    logic [       HIGH-1:0] high;
    logic [  ALL_WIDTH-1:0] below;
    assign plane  = ~waiting[p*PLANE_WIDTH+:PLANE_WIDTH];
    assign number = {IN_SIGNED != 0 && plane[PLANE_WIDTH-1], plane};
    if (p > 0 && p % MERGE == 0) begin : gen_register
      always_ff @(posedge clk) if (enable) below <= merged[p*ALL_WIDTH+:ALL_WIDTH];
    end else begin : gen_wire
      assign below = merged[p*ALL_WIDTH+:ALL_WIDTH];
    end
    if (p == 0) begin : gen_first
      assign high = ~number[HIGH-1:0];
    end else begin : gen_next
      assign high = below[p+:HIGH] - number[HIGH-1:0];
      assign merged[(p+1)*ALL_WIDTH+:p] = below[p-1:0];
    end
    assign merged[(p+1)*ALL_WIDTH+p+:HIGH] = high;
    if (p + HIGH < ALL_WIDTH) begin : gen_extend
      assign merged[(p+1)*ALL_WIDTH+p+HIGH+:ALL_WIDTH-p-HIGH] = {
        ALL_WIDTH - p - HIGH{IN_SIGNED == 0 || high[HIGH-1]}
      };
    end
  end

  // total = lower - top * 2^TOP = ~negated_lower - ~negated_top * 2^TOP
  localparam int unsigned TOP = WEIGHT_WIDTH - 1;
  localparam int unsigned HIGH = PLANE_WIDTH + 1;
  logic [PLANE_WIDTH-1:0] top;
  logic [  ALL_WIDTH-1:0] lower;
  logic [       HIGH-1:0] high;
  assign top = waiting[TOP*PLANE_WIDTH+:PLANE_WIDTH];
  if (TOP > 0 && TOP % MERGE == 0) begin : gen_register
    always_ff @(posedge clk) if (enable) lower <= merged[TOP*ALL_WIDTH+:ALL_WIDTH];
  end else begin : gen_wire
    assign lower = merged[TOP*ALL_WIDTH+:ALL_WIDTH];
  end
  assign high = {IN_SIGNED == 0 || top[PLANE_WIDTH-1], top} - lower[TOP+:HIGH];
  if (TOP == 0) begin : gen_single
    always_ff @(posedge clk) if (enable) product <= high;
  end else begin : gen_several
    always_ff @(posedge clk) if (enable) product <= {high, ~lower[TOP-1:0]};
  end
endmodule
