// serial_row: a row of a serial_matvec: SIMD activations times a bit plane of weights in a cycle, and their sum.
//
// Formula:  out = sum over i of in[i] * k[i] for the codes k whose planes came, the top one first; with WEIGHT_ODD
//           2 * that + vector_sum.
// Beats:    choices, bits: see plane_sum.
//           add: a sum leaves plane_sum. With it, twice: it is the first of a plane, what is there counts twice;
//           negate: and what is there is the top plane's; deliver: it is the last of an output.
//           vector_sum: of the elements of the output that is delivered, one cycle after deliver.
// Rate:     a plane's part per cycle in which enable is high.
// Latency:  that of plane_sum, and 1 from deliver to out, which stays until the next one; with WEIGHT_ODD out is
//           the output of an adder behind registers.
// Reset:    the next sum starts at 0.
//
// Horner's rule: with each plane the sum so far is doubled before the plane is added, and the top plane, which counts
// negative, changes its sign when the second one comes. What is kept is the one's complement of the sum: a plane's
// sum comes as a complement and goes to the carry chain as it is; doubling and sign are a function of four signals
// in front of it.
module serial_row #(
    parameter int unsigned SIMD       = 16,  // elements at a time
    parameter int unsigned IN_WIDTH   = 4,   // bits of an element
    parameter int unsigned IN_SIGNED  = 0,   // 1: elements are two's complement
    parameter int unsigned WEIGHT_ODD = 0,   // 1: code k means 2k + 1
    parameter int unsigned ACC_WIDTH  = 16   // bits of an accumulator: enough for every result
) (
    input  logic                                                clk,
    input  logic                                                rst,
    input  logic                                                enable,
    input  logic [4*((SIMD + 1) / 2)*2**$clog2(IN_WIDTH+1)-1:0] choices,
    input  logic [                                    SIMD-1:0] bits,
    input  logic                                                add,
    input  logic                                                twice,
    input  logic                                                negate,
    input  logic                                                deliver,
    input  logic [                               ACC_WIDTH-1:0] vector_sum,
    output logic [                               ACC_WIDTH-1:0] out
);
  localparam int unsigned SUM_WIDTH = IN_WIDTH + $clog2(SIMD);                   // of a plane
  localparam int unsigned KERNEL_WIDTH = ACC_WIDTH - (WEIGHT_ODD != 0 ? 1 : 0);  // of the sum of in * k

  logic [   SUM_WIDTH-1:0] negated;      // ~(sum of this plane's part)
  logic [KERNEL_WIDTH-1:0] extended;
  logic [KERNEL_WIDTH-1:0] accumulator;  // ~(sum so far)
  logic [KERNEL_WIDTH-1:0] base;         // ~what the plane is added to
  logic [  KERNEL_WIDTH:0] sum;
  logic [KERNEL_WIDTH-1:0] result;
  logic                    unused;

  plane_sum #(
      .SIMD     (SIMD),
      .IN_WIDTH (IN_WIDTH),
      .IN_SIGNED(IN_SIGNED)
  ) u_plane (
      .clk    (clk),
      .enable (enable),
      .choices(choices),
      .bits   (bits),
      .sum    (negated)
  );
  if (KERNEL_WIDTH > SUM_WIDTH) begin : gen_extend
    assign extended = {{KERNEL_WIDTH - SUM_WIDTH{IN_SIGNED == 0 || negated[SUM_WIDTH-1]}}, negated};
  end else begin : gen_same
    assign extended = negated[KERNEL_WIDTH-1:0];
  end

  // ~(a + s) = ~s - a; a is the sum so far, its double, or that of the top plane negated: ~d + 1
  assign base = (twice ? {accumulator[KERNEL_WIDTH-2:0], 1'b1} : accumulator) ^ {KERNEL_WIDTH{negate}};
  assign sum  = {extended, 1'b0} - {~base, negate};
  always_ff @(posedge clk) begin
    if (rst || deliver) accumulator <= '1;
    else if (add) accumulator <= sum[KERNEL_WIDTH:1];
  end
  always_ff @(posedge clk) begin
    if (deliver) result <= sum[KERNEL_WIDTH:1];
  end

  if (WEIGHT_ODD != 0) begin : gen_odd  // 2r + s = ~(2 * ~r - s), of which the lowest bit is that of s
    logic [KERNEL_WIDTH-1:0] difference;
    assign difference = result - vector_sum[ACC_WIDTH-1:1];
    assign out        = {~difference, vector_sum[0]};
    assign unused     = 1'b0;
  end else begin : gen_even
    assign out    = ~result;
    assign unused = &{1'b0, vector_sum};
  end
endmodule
