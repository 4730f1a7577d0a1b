// serial_total: the sum of a vector's elements, which all rows of a serial_matvec with odd weight codes add.
//
// Formula:  total = sum over i < MW of in[i].
// Beats:    choices: of the SIMD elements at hand, as pair_sums leaves them.
//           first, second: their plane, as the address of its weights leaves, two cycles before the choices are there.
//           The first one's cycles count half of the pairs, the second one's the others: every width has two planes,
//           so half the adders do.
//           add: the sum is at the accumulators; deliver: and it is the last one of an output.
// Rate:     a set of elements a cycle in which enable is high.
// Latency:  that of the rows' plane_sum, and with deliver 1 more.
// Reset:    the next sum starts at 0.
module serial_total #(
    parameter int unsigned SIMD      = 16,  // elements at a time
    parameter int unsigned IN_WIDTH  = 4,   // bits of an element
    parameter int unsigned IN_SIGNED = 0,   // 1: elements are two's complement
    parameter int unsigned OUT_WIDTH = 16   // bits of the sum: what exceeds them is dropped
) (
    input  logic                                                clk,
    input  logic                                                rst,
    input  logic                                                enable,
    input  logic                                                first,
    input  logic                                                second,
    input  logic [4*((SIMD + 1) / 2)*2**$clog2(IN_WIDTH+1)-1:0] choices,
    input  logic                                                add,
    input  logic                                                deliver,
    output logic [                               OUT_WIDTH-1:0] total
);
  localparam int unsigned PAIRS = (SIMD + 1) / 2;
  localparam int unsigned LANES = 2 * ((PAIRS + 1) / 2);  // pairs take the places of elements
  localparam int unsigned STRIDE = 2 ** $clog2(IN_WIDTH + 1);
  localparam int unsigned SUM_WIDTH = IN_WIDTH + $clog2(LANES);
  // The rows' plane_sum may have stages more than the one of half as many pairs.
  localparam int unsigned LATER = (SIMD > 6 ? 1 : 0) + (SIMD > 30 ? 1 : 0) - (LANES > 6 ? 1 : 0) - (LANES > 30 ? 1 : 0);

  logic [2*LANES*STRIDE-1:0] sums;  // instead of 0, a0, a1, a0 + a1: 0, a pair, one of the other half, never both
  logic [     SUM_WIDTH-1:0] early, negated;
  logic [     OUT_WIDTH-1:0] so_far, sum;
  logic [               3:0] halves;  // of two cycles, the newest lowest
  logic                      unused;

  always_ff @(posedge clk) begin
    if (enable) halves <= {halves[1:0], second, first};
  end
  for (genvar j = 0; j < LANES / 2; j++) begin : gen_pair
    assign sums[4*j*STRIDE+:2*STRIDE] = {choices[(4*j+3)*STRIDE+:STRIDE], STRIDE'(0)};
    if (j + LANES / 2 < PAIRS) begin : gen_other
      assign sums[(4*j+2)*STRIDE+:2*STRIDE] = {STRIDE'(0), choices[(4*(j+LANES/2)+3)*STRIDE+:STRIDE]};
    end else begin : gen_none
      assign sums[(4*j+2)*STRIDE+:2*STRIDE] = '0;
    end
  end
  assign unused = &{1'b0, choices};

  plane_sum #(
      .SIMD     (LANES),
      .IN_WIDTH (IN_WIDTH),
      .IN_SIGNED(IN_SIGNED)
  ) u_plane (
      .clk    (clk),
      .enable (enable),
      .choices(sums),
      .bits   ({LANES / 2{halves[3:2]}}),
      .sum    (early)
  );
  if (LATER > 0) begin : gen_later
    delay #(
        .WIDTH (SUM_WIDTH),
        .CYCLES(LATER)
    ) u_delay (
        .clk   (clk),
        .enable(enable),
        .in    (early),
        .out   (negated)
    );
  end else begin : gen_now
    assign negated = early;
  end

  if (OUT_WIDTH > SUM_WIDTH) begin : gen_extend
    assign sum = so_far + {{OUT_WIDTH - SUM_WIDTH{IN_SIGNED != 0 && !negated[SUM_WIDTH-1]}}, ~negated};
  end else begin : gen_same
    assign sum = so_far + ~negated[OUT_WIDTH-1:0];
  end
  always_ff @(posedge clk) begin
    if (rst || deliver) so_far <= '0;
    else if (add) so_far <= sum;
  end
  always_ff @(posedge clk) begin
    if (deliver) total <= sum;
  end
endmodule
