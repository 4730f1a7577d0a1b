// serial_steps: where a serial_matvec is in its vector: the slice, the bit plane, the rows, the address of their bits.
//
// Formula:  slices (sf, SF of a vector) count fast, then planes (the top one first, width of them), then groups of rows
//           (NF), then the vectors of a frame (VECTORS). word = (rows * WEIGHT_WIDTH + plane) * SF + sf.
// Beats:    take: this cycle's step is done. width: of the frame, steady from its first step to its last.
//           first, second: plane. last_output: the step ends an output, last_use: it ends a vector, last_vector: of the
//           frame.
// Rate:     a step a cycle.
// Latency:  1 cycle.
// Reset:    the next step is the first of a frame.
//
// What ends with the next step is known from flip-flops: it decides whether the sender moves. The first plane is never
// the last, so that the width of another frame does not matter there.
module serial_steps #(
    parameter int unsigned SF           = 2,   // slices of a vector
    parameter int unsigned NF           = 1,   // groups of rows
    parameter int unsigned WEIGHT_WIDTH = 4,   // planes that are stored, 2 to 8
    parameter int unsigned VECTORS      = 64   // of a frame
) (
    input  logic                                  clk,
    input  logic                                  rst,
    input  logic                                  take,
    input  logic [                           3:0] width,
    output logic [ (SF > 1 ? $clog2(SF) : 1)-1:0] sf,
    output logic                                  first,
    output logic                                  second,
    output logic [$clog2(SF*NF*WEIGHT_WIDTH)-1:0] word,
    output logic                                  last_output,
    output logic                                  last_use,
    output logic                                  last_vector
);
  if (SF < 1 || NF < 1 || VECTORS < 1 || WEIGHT_WIDTH < 2 || WEIGHT_WIDTH > 8) begin : gen_check
    $error("serial_steps: SF (%0d), NF (%0d) and VECTORS (%0d) must be at least 1, WEIGHT_WIDTH (%0d) 2 to 8",
           SF, NF, VECTORS, WEIGHT_WIDTH);
  end

  localparam int unsigned BLOCK = SF * WEIGHT_WIDTH;  // words of a group of rows
  localparam int unsigned SF_WIDTH = SF > 1 ? $clog2(SF) : 1;
  localparam int unsigned NF_WIDTH = NF > 1 ? $clog2(NF) : 1;
  localparam int unsigned PLANE_WIDTH = $clog2(WEIGHT_WIDTH);
  localparam int unsigned WORD_WIDTH = $clog2(SF * NF * WEIGHT_WIDTH);
  localparam int unsigned VECTOR_WIDTH = VECTORS > 1 ? $clog2(VECTORS) : 1;

  logic [  PLANE_WIDTH-1:0] plane;
  logic [     NF_WIDTH-1:0] nf;
  logic [ VECTOR_WIDTH-1:0] vector;
  logic [   WORD_WIDTH-1:0] next_block;
  logic                     last_sf, last_plane, last_nf;
  logic [     SF_WIDTH-1:0] next_sf;
  logic [  PLANE_WIDTH-1:0] next_plane;
  logic [     NF_WIDTH-1:0] next_nf;
  logic [ VECTOR_WIDTH-1:0] next_vector;
  logic                     next_last_sf, next_last_plane, next_last_nf;

  assign first           = plane == '0;
  assign second          = plane == PLANE_WIDTH'(1);
  assign last_output     = last_sf && last_plane;
  assign next_sf         = last_sf ? '0 : sf + 1'b1;
  assign next_plane      = !last_sf ? plane : last_plane ? '0 : plane + 1'b1;
  assign next_nf         = !last_output ? nf : last_nf ? '0 : nf + 1'b1;
  assign next_vector     = !last_use ? vector : last_vector ? '0 : vector + 1'b1;
  assign next_last_sf    = next_sf == SF_WIDTH'(SF - 1);
  assign next_last_plane = 4'(next_plane) == width - 4'd1;
  assign next_last_nf    = next_nf == NF_WIDTH'(NF - 1);

  always_ff @(posedge clk) begin
    if (rst) begin
      sf          <= '0;
      plane       <= '0;
      nf          <= '0;
      vector      <= '0;
      last_sf     <= SF == 1;
      last_plane  <= 1'b0;
      last_nf     <= NF == 1;
      last_use    <= 1'b0;
      last_vector <= VECTORS == 1;
    end else if (take) begin
      sf          <= next_sf;
      plane       <= next_plane;
      nf          <= next_nf;
      vector      <= next_vector;
      last_sf     <= next_last_sf;
      last_plane  <= next_last_plane;
      last_nf     <= next_last_nf;
      last_use    <= next_last_sf && next_last_plane && next_last_nf;
      last_vector <= next_vector == VECTOR_WIDTH'(VECTORS - 1);
    end
  end

  // A frame of fewer planes leaves words out at the end of each block.
  always_ff @(posedge clk) begin
    if (rst || (take && last_use)) begin
      word       <= '0;
      next_block <= WORD_WIDTH'(BLOCK);
    end else if (take && last_output) begin
      word       <= next_block;
      next_block <= next_block + WORD_WIDTH'(BLOCK);
    end else if (take) begin
      word <= word + 1'b1;
    end
  end
endmodule
