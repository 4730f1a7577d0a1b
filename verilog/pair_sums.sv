// pair_sums: what the rows of a matvec share: sums of neighbouring activations, made once for all rows and bit planes.
//
// Formula:  choices: for pair j the numbers {a0 + a1, a1, a0, 0}, 0 lowest, each in STRIDE bits, where a0 and a1 are
//           values 2j and 2j+1; a1 is 0 where there is none. See plane_sum.
//           total: with WEIGHT_ODD the sum of values, else 0.
// Rate:     one set of values per cycle in which enable is high.
// Latency:  choices: 1 cycle. total: when the products of these values leave dot_product.
// Reset:    none: there is no state but the pipeline.
module pair_sums #(
    parameter int unsigned SIMD         = 16,  // values
    parameter int unsigned IN_WIDTH     = 4,   // bits of a value
    parameter int unsigned IN_SIGNED    = 0,   // 1: values are two's complement
    parameter int unsigned WEIGHT_WIDTH = 4,   // bits of a weight, 1 to 16
    parameter int unsigned WEIGHT_ODD   = 0    // 1: code k means 2k + 1
) (
    input  logic                                                      clk,
    input  logic                                                      enable,
    input  logic [                                 SIMD*IN_WIDTH-1:0] values,
    output logic [   4*((SIMD + 1) / 2)*2**$clog2(IN_WIDTH+1)-1:0]    choices,
    output logic [        IN_WIDTH+$clog2(SIMD)+WEIGHT_WIDTH:0]        total
);
  localparam int unsigned PAIRS = (SIMD + 1) / 2;
  localparam int unsigned SUM_WIDTH = IN_WIDTH + 1;
  localparam int unsigned STRIDE = 2 ** $clog2(SUM_WIDTH);
  localparam int unsigned MERGE_STAGES = (WEIGHT_WIDTH - 1) / 4;  // of dot_product
  localparam int unsigned TOTAL_WIDTH = IN_WIDTH + $clog2(SIMD) + WEIGHT_WIDTH + 1;

  logic [SIMD*IN_WIDTH-1:0] activations;

  always_ff @(posedge clk) if (enable) activations <= values;

  for (genvar j = 0; j < PAIRS; j++) begin : gen_pair
    logic [SUM_WIDTH-1:0] a0, a1, sum;
    assign a0 = {IN_SIGNED != 0 && activations[(2*j+1)*IN_WIDTH-1], activations[2*j*IN_WIDTH+:IN_WIDTH]};
    if (2 * j + 1 < SIMD) begin : gen_two
      logic [SUM_WIDTH-1:0] s0, s1;
      assign s0 = {IN_SIGNED != 0 && values[(2*j+1)*IN_WIDTH-1], values[2*j*IN_WIDTH+:IN_WIDTH]};
      assign s1 = {IN_SIGNED != 0 && values[(2*j+2)*IN_WIDTH-1], values[(2*j+1)*IN_WIDTH+:IN_WIDTH]};
      assign a1 = {IN_SIGNED != 0 && activations[(2*j+2)*IN_WIDTH-1], activations[(2*j+1)*IN_WIDTH+:IN_WIDTH]};
      always_ff @(posedge clk) if (enable) sum <= s0 + s1;
    end else begin : gen_one
      assign a1  = '0;
      assign sum = a0;
    end
    assign choices[4*j*STRIDE+:4*STRIDE] = {STRIDE'(sum), STRIDE'(a1), STRIDE'(a0), STRIDE'(0)};
  end

  if (WEIGHT_ODD != 0) begin : gen_total
    localparam int unsigned MINUS_WIDTH = IN_WIDTH + $clog2(SIMD) + 1;
    logic signed [MINUS_WIDTH-1:0] minus_sum, minus;  // a row of weights -1
    logic        [       SIMD-1:0] ones;
    assign ones = '1;
    dot_product #(
        .SIMD        (SIMD),
        .IN_WIDTH    (IN_WIDTH),
        .IN_SIGNED   (IN_SIGNED),
        .WEIGHT_WIDTH(1)
    ) u_sum (
        .clk    (clk),
        .enable (enable),
        .choices(choices),
        .weights(ones),
        .product(minus_sum)
    );
    if (MERGE_STAGES > 0) begin : gen_wait
      logic [MERGE_STAGES*MINUS_WIDTH-1:0] late;  // the newest lowest
      always_ff @(posedge clk) if (enable) late <= (MERGE_STAGES * MINUS_WIDTH)'({late, minus_sum});
      assign minus = late[(MERGE_STAGES-1)*MINUS_WIDTH+:MINUS_WIDTH];
    end else begin : gen_now
      assign minus = minus_sum;
    end
    assign total = -{{TOTAL_WIDTH - MINUS_WIDTH{minus[MINUS_WIDTH-1]}}, minus};
  end else begin : gen_no_total
    assign total = '0;
  end
endmodule
