// axi_lite_registers: what a host sees of a network on an AXI4-Lite bus, and its soft reset.
//
// Formula:  32-bit registers at byte addresses; a write to any other than CONTROL changes nothing, an address
//           without a register reads 0; every answer is OKAY.
//             0x00 ID         "FLOW" in ASCII, first letter in the high byte
//             0x04 VERSION    of this map: 1
//             0x08 BUILD      which network this is, the parameter
//             0x0C IN_BEATS   beats of a frame on the input stream
//             0x10 OUT_BEATS  beats of a frame on the output stream
//             0x14 FRAMES_IN  frames that have gone in whole, modulo 2^32
//             0x18 FRAMES_OUT frames that have come out whole, modulo 2^32
//             0x1C INTERVAL   cycles between the ends of the last two frames that came out; 0 before the second
//             0x20 STATUS     bit 0: a TLAST was missing or too early since the last reset; bit 1: frames are inside
//             0x24 CONTROL    write bit 0: soft reset; write bit 1: clear FRAMES_IN, FRAMES_OUT and INTERVAL.
//                             Reads 1 while the soft reset lasts. A soft reset clears them too.
//           soft_reset is high for RESET_CYCLES cycles after the write. What is inside the network is lost.
// Rate:     a read every two cycles and a write every two cycles, side by side.
// Latency:  1 cycle from address (and data) to the answer.
// Reset:    counters 0, no soft reset, no answer waiting.
module axi_lite_registers #(
    parameter int unsigned BUILD        = 0,  // identifies the network
    parameter int unsigned IN_BEATS     = 1,  // beats of a frame in
    parameter int unsigned OUT_BEATS    = 1,  // beats of a frame out
    parameter int unsigned RESET_CYCLES = 16  // length of a soft reset
) (
    input  logic        clk,
    input  logic        rst,
    input  logic [ 5:0] s_axi_awaddr,
    input  logic        s_axi_awvalid,
    output logic        s_axi_awready,
    input  logic [31:0] s_axi_wdata,
    input  logic [ 3:0] s_axi_wstrb,
    input  logic        s_axi_wvalid,
    output logic        s_axi_wready,
    output logic [ 1:0] s_axi_bresp,
    output logic        s_axi_bvalid,
    input  logic        s_axi_bready,
    input  logic [ 5:0] s_axi_araddr,
    input  logic        s_axi_arvalid,
    output logic        s_axi_arready,
    output logic [31:0] s_axi_rdata,
    output logic [ 1:0] s_axi_rresp,
    output logic        s_axi_rvalid,
    input  logic        s_axi_rready,
    input  logic        frame_in,       // the last beat of a frame goes in, in this cycle
    input  logic        frame_out,      // the last beat of a frame comes out, in this cycle
    input  logic        frame_error,    // stays high until the network is reset
    output logic        soft_reset
);
  if (IN_BEATS < 1 || OUT_BEATS < 1) begin : gen_check_beats
    $error("axi_lite_registers: IN_BEATS (%0d) and OUT_BEATS (%0d) must be at least 1", IN_BEATS, OUT_BEATS);
  end
  if (RESET_CYCLES < 1) begin : gen_check_reset
    $error("axi_lite_registers: RESET_CYCLES (%0d) must be at least 1", RESET_CYCLES);
  end

  localparam logic [31:0] ID = 32'h464C_4F57;
  localparam logic [31:0] VERSION = 32'd1;
  localparam int unsigned RESET_WIDTH = $clog2(RESET_CYCLES + 1);

  localparam logic [3:0] CONTROL = 4'd9;

  logic [           31:0] frames_in;
  logic [           31:0] frames_out;
  logic [           31:0] interval;
  logic [           31:0] since;       // cycles since the last frame came out
  logic                   seen;        // one has
  logic [RESET_WIDTH-1:0] reset_left;
  logic                   write;
  logic                   control;
  logic                   clear;
  logic [           31:0] value;

  // Reads and writes are words; the two low bits of an address and the other bytes of CONTROL mean nothing.
  logic unused;
  assign unused = &{1'b0, s_axi_awaddr[1:0], s_axi_araddr[1:0], s_axi_wdata[31:2], s_axi_wstrb[3:1]};

  // address and data are taken together, when no answer waits
  assign write         = s_axi_awvalid && s_axi_wvalid && !s_axi_bvalid;
  assign s_axi_awready = write;
  assign s_axi_wready  = write;
  assign s_axi_bresp   = 2'b00;
  assign s_axi_arready = !s_axi_rvalid;
  assign s_axi_rresp   = 2'b00;

  assign control    = write && s_axi_awaddr[5:2] == CONTROL && s_axi_wstrb[0];
  assign clear      = soft_reset || (control && s_axi_wdata[1]);
  assign soft_reset = reset_left != 0;

  always_ff @(posedge clk) begin
    if (rst) reset_left <= '0;
    else if (control && s_axi_wdata[0]) reset_left <= RESET_WIDTH'(RESET_CYCLES);
    else if (soft_reset) reset_left <= reset_left - 1'b1;
  end

  always_ff @(posedge clk) begin
    if (rst) s_axi_bvalid <= 1'b0;
    else if (write) s_axi_bvalid <= 1'b1;
    else if (s_axi_bready) s_axi_bvalid <= 1'b0;
  end

  always_ff @(posedge clk) begin
    if (rst || clear) begin
      frames_in  <= '0;
      frames_out <= '0;
      interval   <= '0;
      seen       <= 1'b0;
    end else begin
      if (frame_in) frames_in <= frames_in + 1'b1;
      if (frame_out) begin
        frames_out <= frames_out + 1'b1;
        seen       <= 1'b1;
        if (seen) interval <= since;
      end
    end
    since <= frame_out ? 32'd1 : since + 1'b1;
  end

  always_comb begin
    case (s_axi_araddr[5:2])
      4'd0:    value = ID;
      4'd1:    value = VERSION;
      4'd2:    value = BUILD;
      4'd3:    value = IN_BEATS;
      4'd4:    value = OUT_BEATS;
      4'd5:    value = frames_in;
      4'd6:    value = frames_out;
      4'd7:    value = interval;
      4'd8:    value = {30'd0, frames_in != frames_out, frame_error};
      CONTROL: value = {31'd0, soft_reset};
      default: value = '0;
    endcase
  end

  always_ff @(posedge clk) begin
    if (rst) s_axi_rvalid <= 1'b0;
    else if (s_axi_arvalid && s_axi_arready) s_axi_rvalid <= 1'b1;
    else if (s_axi_rready) s_axi_rvalid <= 1'b0;
  end

  always_ff @(posedge clk) begin
    if (s_axi_arvalid && s_axi_arready) s_axi_rdata <= value;
  end
endmodule
