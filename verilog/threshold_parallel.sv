// threshold_parallel: all comparisons at once inside threshold (STYLE 0), without its handshake.
//
// Formula:  codes = OFFSET + number of thresholds reached.
// Rate:     one beat per cycle in which enable is high.
// Latency:  4 cycles: read, compare, count by sixteens, add.
// Reset:    none: there is no state but the pipeline.
// File:     see threshold.
module threshold_parallel #(
    parameter int unsigned LANES       = 4,   // channels of a beat
    parameter int unsigned GROUPS      = 4,   // channel groups
    parameter int unsigned VALUE_WIDTH = 12,  // bits of a value, two's complement
    parameter int unsigned BITS        = 4,   // bits of the count
    parameter int unsigned OUT_WIDTH   = 4,   // bits of a code
    parameter int          OFFSET      = 0,   // code below the first threshold
    parameter              INIT_FILE   = ""   // search trees, whose order does not matter here
) (
    input  logic                                        clk,
    input  logic                                        enable,
    input  logic [(GROUPS > 1 ? $clog2(GROUPS) : 1)-1:0] group,
    input  logic [               LANES*VALUE_WIDTH-1:0] values,
    output logic [                 LANES*OUT_WIDTH-1:0] codes
);
  localparam int unsigned ENTRY_WIDTH = VALUE_WIDTH + 1;
  localparam int unsigned WORD = LANES * ENTRY_WIDTH;
  localparam int unsigned NODES = 2 ** BITS;
  localparam int unsigned PART = 16;  // comparisons counted in one stage
  localparam int unsigned PARTS = (NODES + PART - 1) / PART;

  // Constants for the logic, not a memory: every node is looked up in each cycle.
  (* mem2reg *) logic [LANES*ENTRY_WIDTH-1:0] trees[0:GROUPS*NODES-1];
  initial if (INIT_FILE != "") $readmemh(INIT_FILE, trees);

  logic [NODES*LANES*ENTRY_WIDTH-1:0] nodes;
  logic [      LANES*VALUE_WIDTH-1:0] held;
  always_ff @(posedge clk) if (enable) held <= values;
  for (genvar h = 0; h < NODES; h++) begin : gen_read
    logic [GROUPS*LANES*ENTRY_WIDTH-1:0] choices;
    // in a process, which a simulator runs once: the trees never change
    always_comb begin
      for (int unsigned g = 0; g < GROUPS; g++) choices[g*WORD+:WORD] = trees[g*NODES+h];
    end
    always_ff @(posedge clk) begin
      if (enable) nodes[h*WORD+:WORD] <= choices[group*WORD+:WORD];
    end
  end

  for (genvar l = 0; l < LANES; l++) begin : gen_lane
    logic [VALUE_WIDTH-1:0] raw;
    logic [ENTRY_WIDTH-1:0] value;
    logic [ PARTS*PART-1:0] reached;
    logic [    PARTS*5-1:0] parts;
    logic [            8:0] total;

    assign raw   = held[l*VALUE_WIDTH+:VALUE_WIDTH];
    assign value = {raw[VALUE_WIDTH-1], raw} ^ {ENTRY_WIDTH{nodes[l*ENTRY_WIDTH]}};
    for (genvar h = 0; h < PARTS * PART; h++) begin : gen_compare
      if (h > 0 && h < NODES) begin : gen_node
        always_ff @(posedge clk) begin
          if (enable) reached[h] <= $signed(value) >= $signed(nodes[(h*LANES+l)*ENTRY_WIDTH+:ENTRY_WIDTH]);
        end
      end else begin : gen_none
        assign reached[h] = 1'b0;
      end
    end

    for (genvar j = 0; j < PARTS; j++) begin : gen_part
      logic [4:0] count;
      always_comb begin
        count = '0;
        for (int unsigned i = 0; i < PART; i++) count = count + 5'(reached[j*PART+i]);
      end
      always_ff @(posedge clk) if (enable) parts[j*5+:5] <= count;
    end

    always_comb begin
      total = '0;
      for (int unsigned j = 0; j < PARTS; j++) total = total + 9'(parts[j*5+:5]);
    end
    always_ff @(posedge clk) begin
      if (enable) codes[l*OUT_WIDTH+:OUT_WIDTH] <= OUT_WIDTH'(OFFSET) + OUT_WIDTH'(total);
    end
  end
endmodule
