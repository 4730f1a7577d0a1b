// axi_lite_registers: what a host sees of a network on an AXI4-Lite bus, and its soft reset.
//
// Formula:  32-bit registers at byte addresses; only CONTROL, HOLD and the layers' can be written, an address without
//           a register reads 0; every answer but one (see below) is OKAY.
//             0x00 ID         "FLOW" in ASCII, first letter in the high byte
//             0x04 VERSION    of this map: 2
//             0x08 BUILD      which network this is, the parameter
//             0x0C IN_BEATS   beats of a frame on the input stream
//             0x10 OUT_BEATS  beats of a frame on the output stream
//             0x14 FRAMES_IN  frames that have gone in whole, modulo 2^32
//             0x18 FRAMES_OUT frames that have come out whole, modulo 2^32
//             0x1C INTERVAL   cycles between the ends of the last two frames that came out; 0 before the second
//             0x20 STATUS     bit 0: a TLAST was missing or too early since the last reset; bit 1: frames are inside
//             0x24 CONTROL    write bit 0: soft reset; write bit 1: clear FRAMES_IN, FRAMES_OUT and INTERVAL.
//                             Reads 1 while the soft reset lasts. A soft reset clears them too.
//             0x28 LAYERS     runtime layers, the parameter
//             0x2C WIDTHS     what they choose from: bits, the narrowest in the low four, and so on
//             0x30 HOLD       bit 0: while it is 1, what is written to layers waits
//             0x40 + 4*i      the bits of runtime layer i, as they were written last
//           A write to a layer's register takes effect with the next frame that begins, or once HOLD is 0 again: then
//           all of them together, so that no frame has some layers' new widths and others' old ones. A number that is
//           none of WIDTHS, or a layer that is not there, is answered with SLVERR and changes nothing. A write without
//           the lowest byte changes nothing either, and is fine. Without runtime layers there are no registers from
//           0x28.
//           configuration has, for each layer, the index of its width in WIDTHS, layer 0 in the low bits.
//           soft_reset is high for RESET_CYCLES cycles after the write. What is inside the network is lost; the
//           layers' widths and HOLD stay.
// Rate:     a read every two cycles and a write every two cycles, side by side.
// Latency:  1 cycle from address (and data) to the answer.
// Reset:    counters 0, no soft reset, no answer waiting, all layers at the widest, HOLD 0.
module axi_lite_registers #(
    parameter int unsigned BUILD        = 0,  // identifies the network
    parameter int unsigned IN_BEATS     = 1,  // beats of a frame in
    parameter int unsigned OUT_BEATS    = 1,  // beats of a frame out
    parameter int unsigned RESET_CYCLES = 16, // length of a soft reset
    parameter int unsigned LAYERS       = 0,  // runtime layers, at most 48
    parameter int unsigned COUNT        = 3,  // widths that they choose from, 2 to 4
    parameter int unsigned WIDTHS       = 'h432  // their bits, ascending, the first in the low digit
) (
    input  logic        clk,
    input  logic        rst,
    input  logic [(LAYERS > 0 ? 8 : 6)-1:0] s_axi_awaddr,
    input  logic        s_axi_awvalid,
    output logic        s_axi_awready,
    input  logic [31:0] s_axi_wdata,
    input  logic [ 3:0] s_axi_wstrb,
    input  logic        s_axi_wvalid,
    output logic        s_axi_wready,
    output logic [ 1:0] s_axi_bresp,
    output logic        s_axi_bvalid,
    input  logic        s_axi_bready,
    input  logic [(LAYERS > 0 ? 8 : 6)-1:0] s_axi_araddr,
    input  logic        s_axi_arvalid,
    output logic        s_axi_arready,
    output logic [31:0] s_axi_rdata,
    output logic [ 1:0] s_axi_rresp,
    output logic        s_axi_rvalid,
    input  logic        s_axi_rready,
    input  logic        frame_in,       // the last beat of a frame goes in, in this cycle
    input  logic        frame_out,      // the last beat of a frame comes out, in this cycle
    input  logic        frame_error,    // stays high until the network is reset
    output logic        soft_reset,
    output logic [(LAYERS > 0 ? LAYERS : 1)*$clog2(COUNT)-1:0] configuration
);
  if (IN_BEATS < 1 || OUT_BEATS < 1) begin : gen_check_beats
    $error("axi_lite_registers: IN_BEATS (%0d) and OUT_BEATS (%0d) must be at least 1", IN_BEATS, OUT_BEATS);
  end
  if (RESET_CYCLES < 1) begin : gen_check_reset
    $error("axi_lite_registers: RESET_CYCLES (%0d) must be at least 1", RESET_CYCLES);
  end

  if (LAYERS > 48 || COUNT < 2 || COUNT > 4) begin : gen_check_layers
    $error("axi_lite_registers: LAYERS (%0d) must be at most 48, COUNT (%0d) 2 to 4", LAYERS, COUNT);
  end

  localparam logic [31:0] ID = 32'h464C_4F57;
  localparam logic [31:0] VERSION = 32'd2;
  localparam int unsigned RESET_WIDTH = $clog2(RESET_CYCLES + 1);

  localparam int unsigned ADDRESS = LAYERS > 0 ? 6 : 4;  // bits of a register's number
  localparam int unsigned FIRST = 16;  // number of layer 0's register
  localparam int unsigned FIELD_WIDTH = $clog2(COUNT);
  localparam logic [ADDRESS-1:0] CONTROL = ADDRESS'(9);

  logic [           31:0] frames_in;
  logic [           31:0] frames_out;
  logic [           31:0] interval;
  logic [           31:0] since;       // cycles since the last frame came out
  logic                   seen;        // one has
  logic [RESET_WIDTH-1:0] reset_left;
  logic [    ADDRESS-1:0] write_number, read_number;
  logic                   write;
  logic                   refused;
  logic [           31:0] layer_value;  // of the layer's register that is read
  logic                   control;
  logic                   clear;
  logic [           31:0] value;

  // Reads and writes are words; the two low bits of an address and the other bytes of CONTROL mean nothing.
  logic unused;
  assign unused = &{1'b0, s_axi_awaddr[1:0], s_axi_araddr[1:0]};

  // address and data are taken together, when no answer waits
  assign write         = s_axi_awvalid && s_axi_wvalid && !s_axi_bvalid;
  assign s_axi_awready = write;
  assign s_axi_wready  = write;
  assign write_number  = s_axi_awaddr[2+:ADDRESS];
  assign read_number   = s_axi_araddr[2+:ADDRESS];
  assign s_axi_arready = !s_axi_rvalid;
  assign s_axi_rresp   = 2'b00;

  assign control    = write && write_number == CONTROL && s_axi_wstrb[0];
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

  always_ff @(posedge clk) if (write) s_axi_bresp <= {refused, 1'b0};

  if (LAYERS > 0) begin : gen_layers
    localparam logic [ADDRESS-1:0] HOLD = ADDRESS'(12);
    logic [           31:0] given;  // bytes that are not written are 0, as they read
    logic [FIELD_WIDTH-1:0] index;
    logic                   known, to_layer, there;
    logic [LAYERS*FIELD_WIDTH-1:0] written, next;  // as the host sees them
    logic                   hold, next_hold;

    for (genvar byte_lane = 0; byte_lane < 4; byte_lane++) begin : gen_byte
      assign given[8*byte_lane+:8] = s_axi_wdata[8*byte_lane+:8] & {8{s_axi_wstrb[byte_lane]}};
    end
    assign to_layer = write_number >= ADDRESS'(FIRST);
    assign there    = {1'b0, write_number} < (ADDRESS + 1)'(FIRST + LAYERS);
    assign refused  = to_layer && s_axi_wstrb[0] && !(known && there);

    always_comb begin
      known = 1'b0;
      index = '0;
      for (int unsigned i = 0; i < COUNT; i++) begin
        if (given == (WIDTHS >> 4 * i & 15)) begin
          known = 1'b1;
          index = FIELD_WIDTH'(i);
        end
      end
    end

    for (genvar l = 0; l < LAYERS; l++) begin : gen_layer
      logic to_this;
      assign to_this = write && s_axi_wstrb[0] && known && write_number == ADDRESS'(FIRST + l);
      assign next[l*FIELD_WIDTH+:FIELD_WIDTH] = to_this ? index : written[l*FIELD_WIDTH+:FIELD_WIDTH];
    end
    assign next_hold = write && s_axi_wstrb[0] && write_number == HOLD ? s_axi_wdata[0] : hold;

    always_ff @(posedge clk) begin
      hold <= !rst && next_hold;
      if (rst) written <= {LAYERS{FIELD_WIDTH'(COUNT - 1)}};
      else written <= next;
      if (rst) configuration <= {LAYERS{FIELD_WIDTH'(COUNT - 1)}};
      else if (!next_hold) configuration <= next;
    end

    always_comb begin
      layer_value = '0;
      for (int unsigned l = 0; l < LAYERS; l++) begin
        for (int unsigned i = 0; i < COUNT; i++) begin
          if (read_number == ADDRESS'(FIRST + l) && written[l*FIELD_WIDTH+:FIELD_WIDTH] == FIELD_WIDTH'(i)) begin
            layer_value = WIDTHS >> 4 * i & 15;
          end
        end
      end
      if (read_number == ADDRESS'(10)) layer_value = LAYERS;
      if (read_number == ADDRESS'(11)) layer_value = WIDTHS;
      if (read_number == HOLD) layer_value = {31'd0, hold};
    end
  end else begin : gen_no_layers
    logic unused_data;
    assign refused       = 1'b0;
    assign layer_value   = '0;
    assign configuration = '0;
    assign unused_data   = &{1'b0, s_axi_wstrb[3:1], s_axi_wdata[31:2]};
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
    case (read_number)
      ADDRESS'(0): value = ID;
      ADDRESS'(1): value = VERSION;
      ADDRESS'(2): value = BUILD;
      ADDRESS'(3): value = IN_BEATS;
      ADDRESS'(4): value = OUT_BEATS;
      ADDRESS'(5): value = frames_in;
      ADDRESS'(6): value = frames_out;
      ADDRESS'(7): value = interval;
      ADDRESS'(8): value = {30'd0, frames_in != frames_out, frame_error};
      CONTROL:     value = {31'd0, soft_reset};
      default:     value = layer_value;
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
