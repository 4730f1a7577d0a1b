// delay: a value some cycles later, inside a pipeline that its owner halts.
//
// Formula:  out(t) = in(t - CYCLES), counting only cycles in which enable is high.
// Rate:     a value every enabled cycle.
// Latency:  CYCLES.
// Reset:    none: the owner knows which values count.
module delay #(
    parameter int unsigned WIDTH  = 8,  // bits
    parameter int unsigned CYCLES = 1   // at least 1
) (
    input  logic             clk,
    input  logic             enable,
    input  logic [WIDTH-1:0] in,
    output logic [WIDTH-1:0] out
);
  if (WIDTH < 1 || CYCLES < 1) begin : gen_check
    $error("delay: WIDTH (%0d) and CYCLES (%0d) must be at least 1", WIDTH, CYCLES);
  end

  logic [CYCLES*WIDTH-1:0] values;

  assign out = values[(CYCLES-1)*WIDTH+:WIDTH];

  always_ff @(posedge clk) begin
    if (enable) values <= (CYCLES * WIDTH)'({values, in});
  end
endmodule
