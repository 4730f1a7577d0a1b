// plane_sum: the activations whose weights have a bit set: one bit plane of a row of products.
//
// Formula:  sum = ~(sum over i of activation[i] * bits[i]), in PLANE_WIDTH = IN_WIDTH + log2(SIMD) bits.
// Beats:    choices: for pair j the numbers {a0 + a1, a1, a0, 0} at index 4j to 4j + 3, 0 lowest, where a0 and a1
//           are activations 2j and 2j+1; a1 is 0 where there is none.
// Rate:     one sum per cycle in which enable is high.
// Latency:  1 cycle; 1 more with more than 6 lanes, 1 more with more than 30.
// Reset:    none: there is no state but the pipeline.
//
// A pair of weight bits chooses one of {0, a0, a1, a0 + a1}, whose sum was made once for all rows and planes. A bit
// of the choice is a function of five signals, which fits the look-up table in front of a carry chain together with
// the running sum: one table per bit and pair. Sums run as one's complements (see negated_sum). CHAIN pairs make a
// pipeline stage.
module plane_sum #(
    parameter int unsigned SIMD      = 16,  // lanes
    parameter int unsigned IN_WIDTH  = 4,   // bits of an activation
    parameter int unsigned IN_SIGNED = 0    // 1: activations are two's complement
) (
    input  logic                                                clk,
    input  logic                                                enable,
    input  logic [4*((SIMD + 1) / 2)*2**$clog2(IN_WIDTH+1)-1:0] choices,
    input  logic [                                    SIMD-1:0] bits,
    output logic [                     IN_WIDTH+$clog2(SIMD)-1:0] sum
);
  localparam int unsigned CHAIN = 3;  // pairs of a stage
  localparam int unsigned STRIDE = 2 ** $clog2(IN_WIDTH + 1);  // of choices
  localparam int unsigned PAIRS = (SIMD + 1) / 2;
  localparam int unsigned GROUPS = (PAIRS + CHAIN - 1) / CHAIN;
  localparam int unsigned GROUP_WIDTH = IN_WIDTH + $clog2(2 * CHAIN);
  localparam int unsigned PLANE_WIDTH = IN_WIDTH + $clog2(SIMD);
  localparam int unsigned SUM_WIDTH = PLANE_WIDTH > GROUP_WIDTH ? PLANE_WIDTH : GROUP_WIDTH;

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
        assign chosen = bits[2*J+:2];
      end else begin : gen_one
        assign chosen = {1'b0, bits[2*J]};
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

  logic [SUM_WIDTH-1:0] every;
  negated_tree #(
      .TERMS    (GROUPS),
      .IN_WIDTH (GROUP_WIDTH),
      .IN_SIGNED(IN_SIGNED),
      .OUT_WIDTH(SUM_WIDTH)
  ) u_groups (
      .clk   (clk),
      .enable(enable),
      .terms (groups),
      .sum   (every)
  );
  assign sum = every[PLANE_WIDTH-1:0];
endmodule
