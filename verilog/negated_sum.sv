// negated_sum: adds a few numbers that are given, and leaves the sum, as one's complements.
//
// Formula:  sum = ~(sum over i of ~terms[i]).
// Rate:     one sum per cycle in which enable is high.
// Latency:  1 cycle.
// Reset:    none: there is no state but the output.
//
// Why complements: an adder's first operand goes to the carry chain as it is, the second through the
// look-up table, which can compute it. x - y fixes which is which; x + y does not. Counting down from ~0,
// every step is a subtraction.
module negated_sum #(
    parameter int unsigned TERMS     = 2,  // numbers to add, from 1; each lengthens the path
    parameter int unsigned IN_WIDTH  = 7,  // bits of a term
    parameter int unsigned IN_SIGNED = 0,  // 1: the numbers are two's complement
    parameter int unsigned OUT_WIDTH = 8   // bits of the sum: enough for every value, IN_WIDTH at least
) (
    input  logic                      clk,
    input  logic                      enable,
    input  logic [TERMS*IN_WIDTH-1:0] terms,
    output logic [     OUT_WIDTH-1:0] sum
);
  if (TERMS < 1 || OUT_WIDTH < IN_WIDTH) begin : gen_check_terms
    $error("negated_sum: TERMS (%0d) must be at least 1, OUT_WIDTH (%0d) at least IN_WIDTH (%0d)", TERMS, OUT_WIDTH,
           IN_WIDTH);
  end

  // Widens a number; fill is what stands above an unsigned one.
  function automatic logic [OUT_WIDTH-1:0] extend(input logic [IN_WIDTH-1:0] value, input logic fill);
    logic [OUT_WIDTH+IN_WIDTH-1:0] wide;
    wide   = {{OUT_WIDTH{IN_SIGNED != 0 ? value[IN_WIDTH-1] : fill}}, value};
    extend = wide[OUT_WIDTH-1:0];
  endfunction

  (* keep *) logic [TERMS*OUT_WIDTH-1:0] running;
  assign running[0+:OUT_WIDTH] = extend(terms[0+:IN_WIDTH], IN_SIGNED == 0);
  for (genvar i = 1; i < TERMS; i++) begin : gen_term
    assign running[i*OUT_WIDTH+:OUT_WIDTH] =
        running[(i-1)*OUT_WIDTH+:OUT_WIDTH] - extend(~terms[i*IN_WIDTH+:IN_WIDTH], 1'b0);
  end
  always_ff @(posedge clk) begin
    if (enable) sum <= running[(TERMS-1)*OUT_WIDTH+:OUT_WIDTH];
  end
endmodule
