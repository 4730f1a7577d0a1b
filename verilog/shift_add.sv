// shift_add: an adder of a graph of adders; see flow/adders.
//
// Formula:  sum = (a << A_SHIFT) + (b << B_SHIFT), or the difference, in OUT_WIDTH bits: exact if the result fits them.
//           Low bits that only one operand has are wires, and the adder is as wide as the rest.
// Rate:     a sum a cycle; wires and carry chains alone.
// Latency:  0, no clock.
// Reset:    none.
module shift_add #(
    parameter int unsigned A_WIDTH   = 4,  // bits of a
    parameter int unsigned A_SIGNED  = 0,  // 1: a is two's complement
    parameter int unsigned A_SHIFT   = 0,  // bits; A_SHIFT or B_SHIFT is 0
    parameter int unsigned B_WIDTH   = 4,  // bits of b
    parameter int unsigned B_SIGNED  = 0,  // 1: b is two's complement
    parameter int unsigned B_SHIFT   = 0,  // bits
    parameter int unsigned SUBTRACT  = 0,  // 1: b is taken away
    parameter int unsigned OUT_WIDTH = 5   // bits of the sum
) (
    input  logic [  A_WIDTH-1:0] a,
    input  logic [  B_WIDTH-1:0] b,
    output logic [OUT_WIDTH-1:0] sum
);
  if (A_WIDTH < 1 || B_WIDTH < 1 || OUT_WIDTH < 1) begin : gen_check_width
    $error("shift_add: A_WIDTH (%0d), B_WIDTH (%0d) and OUT_WIDTH (%0d) must be at least 1", A_WIDTH, B_WIDTH,
           OUT_WIDTH);
  end
  if (A_SHIFT > 0 && B_SHIFT > 0) begin : gen_check_shift
    $error("shift_add: A_SHIFT (%0d) or B_SHIFT (%0d) must be 0", A_SHIFT, B_SHIFT);
  end

  // Below WIRES one operand has zeros. What is taken away from zeros needs the adder.
  localparam int unsigned SHIFTED = SUBTRACT != 0 ? B_SHIFT : A_SHIFT + B_SHIFT;
  localparam int unsigned WIRES = SHIFTED < OUT_WIDTH ? SHIFTED : OUT_WIDTH - 1;

  logic [OUT_WIDTH-1:0] left, right;

  assign left = OUT_WIDTH'({{OUT_WIDTH{A_SIGNED != 0 && a[A_WIDTH-1]}}, a}) << A_SHIFT;
  assign right = OUT_WIDTH'({{OUT_WIDTH{B_SIGNED != 0 && b[B_WIDTH-1]}}, b}) << B_SHIFT;

  if (SUBTRACT != 0) begin : gen_difference
    assign sum[OUT_WIDTH-1:WIRES] = left[OUT_WIDTH-1:WIRES] - right[OUT_WIDTH-1:WIRES];
  end else begin : gen_sum
    assign sum[OUT_WIDTH-1:WIRES] = left[OUT_WIDTH-1:WIRES] + right[OUT_WIDTH-1:WIRES];
  end
  if (WIRES > 0) begin : gen_wires
    assign sum[WIRES-1:0] = left[WIRES-1:0] | right[WIRES-1:0];
  end
endmodule
