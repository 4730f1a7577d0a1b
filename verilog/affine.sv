// affine: one lane of a requantize: multiply, add, shift, saturate.
//
// Formula:  code = saturate((value * M + B) >>> SHIFT); the shift is arithmetic (rounds down). TIES_TO_EVEN: where all
//           SHIFT dropped bits are zero, which with half a place in B is a tie, the lowest bit is cleared first
//           (rounding half to even). saturate clamps to maximum, a power of two less one, from above, and to 0 from
//           below, or -1 - maximum with OUT_SIGNED.
// Beats:    constants = {B, M} come a cycle after their value, as a memory gives them; maximum comes with the sum, at
//           the code's register: 3 cycles after the value, or 4.
// Rate:     one code per cycle in which enable is high.
// Latency:  4 cycles: wait for the constants, multiply, add, shift and saturate; 1 more with value and M both over
//           18 bits, the narrower operand of a DSP, where the product is put together from two.
// Reset:    none: there is no state but the pipeline.
module affine #(
    parameter int unsigned IN_WIDTH     = 16,  // bits of a value
    parameter int unsigned IN_SIGNED    = 1,   // 1: values are two's complement
    parameter int unsigned MULT_WIDTH   = 16,  // bits of M, two's complement
    parameter int unsigned BIAS_WIDTH   = 32,  // bits of B, two's complement
    parameter int unsigned SHIFT        = 16,  // bits dropped
    parameter int unsigned TIES_TO_EVEN = 0,   // 1: ties go to the even result
    parameter int unsigned OUT_WIDTH    = 8,   // bits of a code
    parameter int unsigned OUT_SIGNED   = 0    // 1: codes are two's complement
) (
    input  logic                             clk,
    input  logic                             enable,
    input  logic [             IN_WIDTH-1:0] value,
    input  logic [MULT_WIDTH+BIAS_WIDTH-1:0] constants,
    input  logic [            OUT_WIDTH-1:0] maximum,
    output logic [            OUT_WIDTH-1:0] code
);
  // No bit to spare: Yosys 0.70 loses the copies of a sign bit when it takes a product into a DSP.
  localparam int unsigned X_WIDTH = IN_SIGNED != 0 ? IN_WIDTH : IN_WIDTH + 1;
  localparam int unsigned PRODUCT_WIDTH = X_WIDTH + MULT_WIDTH;
  localparam int unsigned SUM_WIDTH = (PRODUCT_WIDTH > BIAS_WIDTH ? PRODUCT_WIDTH : BIAS_WIDTH) + 1;
  // Wide enough for the shifted sum and for the limits of the output.
  localparam int unsigned WIDE = SHIFT + OUT_WIDTH + 2 > SUM_WIDTH ? SHIFT + OUT_WIDTH + 2 : SUM_WIDTH;
  localparam int unsigned LOW_WIDTH = 17;  // bits of M in the low product
  localparam bit SPLIT = X_WIDTH > LOW_WIDTH + 1 && MULT_WIDTH > LOW_WIDTH + 1;

  logic signed [       IN_WIDTH:0] extended;  // its top bit only where values are unsigned
  logic signed [      X_WIDTH-1:0] x;
  logic signed [   MULT_WIDTH-1:0] mult;
  logic signed [PRODUCT_WIDTH-1:0] product;
  logic signed [   BIAS_WIDTH-1:0] bias;
  logic signed [    SUM_WIDTH-1:0] sum;
  logic                            tie;
  logic signed [         WIDE-1:0] wide;
  logic signed [         WIDE-1:0] floored;
  logic signed [         WIDE-1:0] shifted;
  logic                            negative;
  logic                            overflow;

  assign extended = {IN_SIGNED != 0 && value[IN_WIDTH-1], value};
  assign mult     = constants[MULT_WIDTH-1:0];
  assign wide     = WIDE'(sum);
  assign floored  = wide >>> SHIFT;
  assign shifted  = {floored[WIDE-1:1], floored[0] && !tie};
  assign negative = shifted[WIDE-1];

  if (TIES_TO_EVEN != 0 && SHIFT > 0) begin : gen_ties
    assign tie = wide[SHIFT-1:0] == '0;
  end else begin : gen_no_ties
    assign tie = 1'b0;
  end

  always_ff @(posedge clk) begin
    if (enable) begin
      x   <= extended[X_WIDTH-1:0];
      sum <= SUM_WIDTH'(product) + SUM_WIDTH'(bias);
    end
  end

  if (SPLIT) begin : gen_split
    localparam int unsigned HIGH_WIDTH = MULT_WIDTH - LOW_WIDTH;
    logic signed [            LOW_WIDTH:0] mult_low;  // not negative
    logic signed [         HIGH_WIDTH-1:0] mult_high;
    logic signed [    X_WIDTH+LOW_WIDTH:0] low;
    logic signed [ X_WIDTH+HIGH_WIDTH-1:0] high;
    logic signed [         BIAS_WIDTH-1:0] held;
    assign mult_low  = {1'b0, mult[LOW_WIDTH-1:0]};
    assign mult_high = mult[MULT_WIDTH-1:LOW_WIDTH];
    always_ff @(posedge clk) begin
      if (enable) begin
        low     <= x * mult_low;
        high    <= x * mult_high;
        held    <= constants[MULT_WIDTH+:BIAS_WIDTH];
        product <= {high + (X_WIDTH + HIGH_WIDTH)'(low >>> LOW_WIDTH), low[LOW_WIDTH-1:0]};
        bias    <= held;
      end
    end
  end else begin : gen_whole
    always_ff @(posedge clk) begin
      if (enable) begin
        product <= x * mult;
        bias    <= constants[MULT_WIDTH+:BIAS_WIDTH];
      end
    end
  end

  // Too large or too small: a bit that the maximum does not have differs from the sign, or is set.
  logic [WIDE-1:0] limit, beyond;
  assign limit    = WIDE'(maximum);
  assign overflow = beyond != '0;
  if (OUT_SIGNED != 0) begin : gen_signed
    assign beyond = (shifted ^ {WIDE{negative}}) & ~limit;
    always_ff @(posedge clk) begin
      if (enable) code <= overflow ? maximum ^ {OUT_WIDTH{negative}} : shifted[OUT_WIDTH-1:0];
    end
  end else begin : gen_unsigned
    assign beyond = shifted & ~limit;
    always_ff @(posedge clk) begin
      if (enable) code <= overflow ? maximum & {OUT_WIDTH{!negative}} : shifted[OUT_WIDTH-1:0];
    end
  end
endmodule
