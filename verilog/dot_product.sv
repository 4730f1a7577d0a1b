// dot_product: SIMD activations times SIMD weights of 1 to 16 bits, one row of a matvec, without multipliers.
//
// Formula:  product = sum over i of activation[i] * weight[i].
// Beats:    weights by bit planes: bit p of weight i at index p*SIMD + i.
//           choices: for pair j the numbers {a0 + a1, a1, a0, 0} at index 4j to 4j + 3, 0 lowest, where a0 and a1
//           are activations 2j and 2j+1; a1 is 0 where there is none.
// Rate:     one product per cycle in which enable is high.
// Latency:  2 cycles; 1 more with more than 6 lanes, 1 more with more than 30, 1 more for every 4 bits of a weight
//           over the first 4.
// Reset:    none: there is no state but the pipeline.
//
// Within a plane, a pair of weight bits chooses one of {0, a0, a1, a0 + a1}, whose sum was made once for all rows
// and planes. A bit of the choice is a function of five signals, which fits the look-up table in front of a carry
// chain together with the running sum: one table per bit and pair.
// Sums run as one's complements (see negated_sum). CHAIN pairs make a pipeline stage.
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
  localparam int unsigned CHAIN = 3;  // pairs of a stage
  localparam int unsigned MERGE = 4;  // planes of a stage
  localparam int unsigned STRIDE = 2 ** $clog2(IN_WIDTH + 1);  // of choices
  localparam int unsigned PAIRS = (SIMD + 1) / 2;
  localparam int unsigned GROUPS = (PAIRS + CHAIN - 1) / CHAIN;
  localparam int unsigned GROUP_WIDTH = IN_WIDTH + $clog2(2 * CHAIN);
  localparam int unsigned PLANE_WIDTH = IN_WIDTH + $clog2(SIMD);
  localparam int unsigned ALL_WIDTH = PLANE_WIDTH + WEIGHT_WIDTH;  // all planes together

  // Stages 1 and 2: each plane's sum, as a complement.
  logic [WEIGHT_WIDTH*PLANE_WIDTH-1:0] planes;

  for (genvar p = 0; p < WEIGHT_WIDTH; p++) begin : gen_plane
    logic [GROUPS*GROUP_WIDTH-1:0] groups;
    for (genvar g = 0; g < GROUPS; g++) begin : gen_group
      localparam int unsigned LENGTH = (g + 1) * CHAIN <= PAIRS ? CHAIN : PAIRS - g * CHAIN;
      (* keep *) logic [LENGTH*GROUP_WIDTH-1:0] running;  // ~(sum of the choices so far)
      for (genvar k = 0; k < LENGTH; k++) begin : gen_pair
        localparam int unsigned J = g * CHAIN + k;
        localparam int unsigned BITS = IN_WIDTH + $clog2(2 * k + 2);  // of the sum so far
        logic [IN_WIDTH:0] choice;
        logic [1:0] chosen;
        if (2 * J + 1 < SIMD) begin : gen_two
          assign chosen = weights[p*SIMD+2*J+:2];
        end else begin : gen_one
          assign chosen = {1'b0, weights[p*SIMD+2*J]};
        end
        logic [4*STRIDE-1:0] four;
        assign four   = choices[4*J*STRIDE+:4*STRIDE];
        assign choice = four[{chosen, {$clog2(STRIDE){1'b0}}}+:IN_WIDTH+1];
        logic [GROUP_WIDTH-1:0] extended;
        logic [       BITS-1:0] negated;
        assign extended = {{GROUP_WIDTH - IN_WIDTH - 1{IN_SIGNED != 0 && choice[IN_WIDTH]}}, choice};
        if (k == 0) begin : gen_first
          assign negated = ~extended[BITS-1:0];
        end else begin : gen_next
          assign negated = running[(k-1)*GROUP_WIDTH+:BITS] - extended[BITS-1:0];
        end
        if (BITS < GROUP_WIDTH) begin : gen_extend
          assign running[k*GROUP_WIDTH+:GROUP_WIDTH] = {
            {GROUP_WIDTH - BITS{IN_SIGNED == 0 || negated[BITS-1]}}, negated
          };
        end else begin : gen_full
          assign running[k*GROUP_WIDTH+:GROUP_WIDTH] = negated;
        end
      end
      always_ff @(posedge clk) begin
        if (enable) groups[g*GROUP_WIDTH+:GROUP_WIDTH] <= running[(LENGTH-1)*GROUP_WIDTH+:GROUP_WIDTH];
      end
    end
    localparam int unsigned SUM_WIDTH = PLANE_WIDTH > GROUP_WIDTH ? PLANE_WIDTH : GROUP_WIDTH;
    logic [SUM_WIDTH-1:0] sum;
    negated_tree #(
        .TERMS    (GROUPS),
        .IN_WIDTH (GROUP_WIDTH),
        .IN_SIGNED(IN_SIGNED),
        .OUT_WIDTH(SUM_WIDTH)
    ) u_groups (
        .clk   (clk),
        .enable(enable),
        .terms (groups),
        .sum   (sum)
    );
    assign planes[p*PLANE_WIDTH+:PLANE_WIDTH] = sum[PLANE_WIDTH-1:0];
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
