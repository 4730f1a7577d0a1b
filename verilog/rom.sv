// rom: a read-only memory with a registered output.
//
// Formula:  data = word[addr], one cycle after an addr that came with enable; held while enable is low.
// File:     INIT_FILE is read by $readmemh: one word a line, word 0 first.
// Rate:     one word per cycle.
// Latency:  1 cycle.
// Reset:    none: there is no state but the output.
module rom #(
    parameter int unsigned WIDTH     = 8,    // bits of a word
    parameter int unsigned DEPTH     = 16,   // words, any number from 1
    parameter              INIT_FILE = "",   // hexadecimal words
    parameter int unsigned STYLE     = 0     // 0 the tool's choice, 1 distributed (LUT), 2 block
) (
    input  logic                                      clk,
    input  logic                                      enable,
    input  logic [(DEPTH > 1 ? $clog2(DEPTH) : 1)-1:0] addr,
    output logic [                         WIDTH-1:0] data
);
  if (WIDTH < 1 || DEPTH < 1) begin : gen_check_size
    $error("rom: WIDTH (%0d) and DEPTH (%0d) must be at least 1", WIDTH, DEPTH);
  end
  if (STYLE > 2) begin : gen_check_style
    $error("rom: STYLE (%0d) must be 0, 1 or 2", STYLE);
  end

  if (STYLE == 1) begin : gen_distributed
    (* logic_block *) logic [WIDTH-1:0] words[0:DEPTH-1];
    initial if (INIT_FILE != "") $readmemh(INIT_FILE, words);
    always_ff @(posedge clk) if (enable) data <= words[addr];
  end else if (STYLE == 2) begin : gen_block
    (* rom_style = "block", ram_style = "block" *) logic [WIDTH-1:0] words[0:DEPTH-1];
    initial if (INIT_FILE != "") $readmemh(INIT_FILE, words);
    always_ff @(posedge clk) if (enable) data <= words[addr];
  end else begin : gen_auto
    logic [WIDTH-1:0] words[0:DEPTH-1];
    initial if (INIT_FILE != "") $readmemh(INIT_FILE, words);
    always_ff @(posedge clk) if (enable) data <= words[addr];
  end
endmodule
