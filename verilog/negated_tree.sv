// negated_tree: adds many numbers that are given, and leaves the sum, as one's complements.
//
// Formula:  sum = ~(sum over i of ~terms[i]); see negated_sum.
// Rate:     one sum per cycle in which enable is high.
// Latency:  no cycle with one term, 1 with up to STAGE_TERMS = 5, else 2.
// Reset:    none: there is no state but the pipeline.
module negated_tree #(
    parameter int unsigned TERMS     = 2,  // numbers to add, 1 to 25
    parameter int unsigned IN_WIDTH  = 7,  // bits of a term
    parameter int unsigned IN_SIGNED = 0,  // 1: the numbers are two's complement
    parameter int unsigned OUT_WIDTH = 8   // bits of the sum: enough for every value, IN_WIDTH at least
) (
    input  logic                      clk,
    input  logic                      enable,
    input  logic [TERMS*IN_WIDTH-1:0] terms,
    output logic [     OUT_WIDTH-1:0] sum
);
  localparam int unsigned STAGE_TERMS = 5;
  localparam int unsigned PARTS = (TERMS + STAGE_TERMS - 1) / STAGE_TERMS;

  if (PARTS > STAGE_TERMS) begin : gen_check_terms
    $error("negated_tree: TERMS (%0d) must be at most %0d", TERMS, STAGE_TERMS * STAGE_TERMS);
  end

  if (TERMS == 1) begin : gen_wire
    logic unused;
    assign unused = &{1'b0, clk, enable};
    if (OUT_WIDTH > IN_WIDTH) begin : gen_extend
      assign sum = {{OUT_WIDTH - IN_WIDTH{IN_SIGNED == 0 || terms[IN_WIDTH-1]}}, terms};
    end else begin : gen_same
      assign sum = terms;
    end
  end else if (PARTS == 1) begin : gen_stage
    negated_sum #(
        .TERMS    (TERMS),
        .IN_WIDTH (IN_WIDTH),
        .IN_SIGNED(IN_SIGNED),
        .OUT_WIDTH(OUT_WIDTH)
    ) u_sum (
        .clk   (clk),
        .enable(enable),
        .terms (terms),
        .sum   (sum)
    );
  end else begin : gen_parts
    logic [PARTS*OUT_WIDTH-1:0] parts;
    for (genvar i = 0; i < PARTS; i++) begin : gen_part
      localparam int unsigned COUNT = (i + 1) * STAGE_TERMS <= TERMS ? STAGE_TERMS : TERMS - i * STAGE_TERMS;
      negated_sum #(
          .TERMS    (COUNT),
          .IN_WIDTH (IN_WIDTH),
          .IN_SIGNED(IN_SIGNED),
          .OUT_WIDTH(OUT_WIDTH)
      ) u_part (
          .clk   (clk),
          .enable(enable),
          .terms (terms[i*STAGE_TERMS*IN_WIDTH+:COUNT*IN_WIDTH]),
          .sum   (parts[i*OUT_WIDTH+:OUT_WIDTH])
      );
    end
    negated_sum #(
        .TERMS    (PARTS),
        .IN_WIDTH (OUT_WIDTH),
        .IN_SIGNED(IN_SIGNED),
        .OUT_WIDTH(OUT_WIDTH)
    ) u_total (
        .clk   (clk),
        .enable(enable),
        .terms (parts),
        .sum   (sum)
    );
  end
endmodule
