// threshold_search: the binary search inside threshold (STYLE 1), without its handshake.
//
// Formula:  codes = OFFSET + number of thresholds reached, found bit by bit, the highest first.
// Rate:     one beat per cycle in which enable is high.
// Latency:  1 + BITS cycles: the flip, and one stage for each bit, which compares with one node of the tree.
// Reset:    none: there is no state but the pipeline.
// File:     see threshold.
module threshold_search #(
    parameter int unsigned LANES       = 4,   // channels of a beat
    parameter int unsigned GROUPS      = 4,   // channel groups
    parameter int unsigned VALUE_WIDTH = 12,  // bits of a value, two's complement
    parameter int unsigned BITS        = 4,   // bits of the count
    parameter int unsigned OUT_WIDTH   = 4,   // bits of a code
    parameter int          OFFSET      = 0,   // code below the first threshold
    parameter              INIT_FILE   = ""   // search trees
) (
    input  logic                                        clk,
    input  logic                                        enable,
    input  logic [(GROUPS > 1 ? $clog2(GROUPS) : 1)-1:0] group,
    input  logic [               LANES*VALUE_WIDTH-1:0] values,
    output logic [                 LANES*OUT_WIDTH-1:0] codes
);
  localparam int unsigned ENTRY_WIDTH = VALUE_WIDTH + 1;
  localparam int unsigned GROUP_WIDTH = GROUPS > 1 ? $clog2(GROUPS) : 1;
  localparam int unsigned NODES = 2 ** BITS;

  // Constants for the logic, not a memory: every lane and stage looks up its own node in each cycle.
  (* mem2reg *) logic [LANES*ENTRY_WIDTH-1:0] trees[0:GROUPS*NODES-1];
  initial if (INIT_FILE != "") $readmemh(INIT_FILE, trees);

  // What stage k hands on: stage 0 has flipped, stage k > 0 knows k bits of the count.
  logic [      BITS*GROUP_WIDTH-1:0] groups;
  logic [BITS*LANES*VALUE_WIDTH-1:0] compared;
  logic [    (BITS+1)*LANES*BITS-1:0] counts;  // the bits known, at the low end

  always_ff @(posedge clk) begin
    if (enable) groups <= (BITS * GROUP_WIDTH)'({groups, group});
  end

  for (genvar l = 0; l < LANES; l++) begin : gen_flip
    logic [VALUE_WIDTH-1:0] value;
    logic [     GROUPS-1:0] flips;
    for (genvar g = 0; g < GROUPS; g++) begin : gen_group
      assign flips[g] = trees[g*NODES][l*ENTRY_WIDTH];
    end
    assign value = values[l*VALUE_WIDTH+:VALUE_WIDTH];
    assign counts[l*BITS+:BITS] = '0;
    always_ff @(posedge clk) begin
      if (enable) compared[l*VALUE_WIDTH+:VALUE_WIDTH] <= flips[group] ? ~value : value;
    end
  end

  for (genvar k = 1; k <= BITS; k++) begin : gen_stage
    localparam int unsigned LEVEL = 2 ** (k - 1);  // nodes of a tree at this height
    localparam int unsigned INDEX_WIDTH = GROUPS * LEVEL > 1 ? $clog2(GROUPS * LEVEL) : 1;
    logic [GROUP_WIDTH-1:0] my_group;
    assign my_group = groups[(k-1)*GROUP_WIDTH+:GROUP_WIDTH];
    for (genvar l = 0; l < LANES; l++) begin : gen_lane
      logic [VALUE_WIDTH-1:0] value;
      logic [ENTRY_WIDTH-1:0] node;
      logic [GROUPS*LEVEL*ENTRY_WIDTH-1:0] nodes;
      logic [INDEX_WIDTH-1:0] index;
      logic [       BITS-1:0] known;
      logic [       BITS-1:0] count;
      assign value       = compared[((k-1)*LANES+l)*VALUE_WIDTH+:VALUE_WIDTH];
      assign known = counts[((k-1)*LANES+l)*BITS+:BITS];
      // in a process, which a simulator runs once: the trees never change
      always_comb begin
        for (int unsigned g = 0; g < GROUPS; g++) begin
          for (int unsigned h = 0; h < LEVEL; h++) begin
            nodes[(g*LEVEL+h)*ENTRY_WIDTH+:ENTRY_WIDTH] = trees[g*NODES+LEVEL+h][l*ENTRY_WIDTH+:ENTRY_WIDTH];
          end
        end
      end
      assign index       = INDEX_WIDTH'(my_group) * INDEX_WIDTH'(LEVEL) + INDEX_WIDTH'(known);
      assign node        = nodes[index*ENTRY_WIDTH+:ENTRY_WIDTH];
      assign count       = BITS'({known, $signed({value[VALUE_WIDTH-1], value}) >= $signed(node)});
      always_ff @(posedge clk) if (enable) counts[(k*LANES+l)*BITS+:BITS] <= count;
      if (k < BITS) begin : gen_hand_on
        always_ff @(posedge clk) if (enable) compared[(k*LANES+l)*VALUE_WIDTH+:VALUE_WIDTH] <= value;
      end
    end
  end

  for (genvar l = 0; l < LANES; l++) begin : gen_code
    assign codes[l*OUT_WIDTH+:OUT_WIDTH] = OUT_WIDTH'(OFFSET) + OUT_WIDTH'(counts[(BITS*LANES+l)*BITS+:BITS]);
  end
endmodule
