// serial_matvec: a matrix times a vector, a bit plane of the weights at a time, as many planes as the frame wants.
//
// Formula:  out[n] = sum over i < MW of in[i] * (weight[n, i] >>> (WEIGHT_WIDTH - b)), n < MH, exact in ACC_WIDTH
//           bits, signed; b is the frame's width, and the shift rounds down: the top b bits of the weight.
//           WEIGHT_ODD 1: those b bits are a code k, which means 2k + 1. Then a row's products are 2 * (sum of in * k) +
//           (sum of in), and the second sum is made once for all rows; see serial_total.
// Beats:    in: the whole vector, element 0 in the low bits; the sender holds it until its last use. A frame is
//           VECTORS of them.
//           configuration: one beat a frame, the index of its width in WIDTHS. It may come before the frame or after
//           its first vector, which then waits; it is taken with the frame's last product.
//           out: beat nf carries the accumulators n = nf*PE + pe, pe in the low bits first.
// Weights:  come from a memory outside. With SF = MW/SIMD, word (nf*WEIGHT_WIDTH + p)*SF + sf has bit
//           WEIGHT_WIDTH-1-p, the top bit first, of weight[nf*PE + pe, sf*SIMD + i] at index pe*SIMD + i. The memory
//           answers weight_addr one cycle later, when memory_enable is high, and else holds; see rom.
// Rate:     b*(MW/SIMD)*(MH/PE) cycles a vector, no bubble between vectors, nor between frames of different widths.
// Latency:  b*MW/SIMD + 3 cycles from a vector's arrival to its first beat; 1 more with more than 6 lanes, 1 more
//           with more than 30.
// Reset:    drops what is under way; the next vector is the first of a frame.
//
// Rows and their arithmetic: see serial_row.
module serial_matvec #(
    parameter int unsigned MW           = 144,    // matrix width: elements of the vector
    parameter int unsigned MH           = 16,     // matrix height: outputs
    parameter int unsigned PE           = 16,     // outputs at a time; divides MH
    parameter int unsigned SIMD         = 72,     // elements at a time; divides MW
    parameter int unsigned IN_WIDTH     = 4,      // bits of an element
    parameter int unsigned IN_SIGNED    = 0,      // 1: elements are two's complement
    parameter int unsigned WEIGHT_WIDTH = 4,      // bits of a weight: the widest of WIDTHS
    parameter int unsigned COUNT        = 3,      // widths to choose from, 2 to 4
    parameter int unsigned WIDTHS       = 'h432,  // their bits, 2 to 8, ascending, the first in the low digit
    parameter int unsigned WEIGHT_ODD   = 0,      // 1: code k means 2k + 1
    parameter int unsigned VECTORS      = 64,     // vectors of a frame
    parameter int unsigned ACC_WIDTH    = 16      // bits of an accumulator: enough for every result
) (
    input  logic                                                              clk,
    input  logic                                                              rst,
    input  logic [                                           MW*IN_WIDTH-1:0] s_axis_tdata,
    input  logic                                                              s_axis_tvalid,
    output logic                                                              s_axis_tready,
    input  logic [                                         $clog2(COUNT)-1:0] s_configuration_tdata,
    input  logic                                                              s_configuration_tvalid,
    output logic                                                              s_configuration_tready,
    output logic                                                              memory_enable,
    output logic [$clog2(MW/SIMD*(MH/PE)*WEIGHT_WIDTH)-1:0]                    weight_addr,
    input  logic [                                               PE*SIMD-1:0] weight_data,
    output logic [                                          PE*ACC_WIDTH-1:0] m_axis_tdata,
    output logic                                                              m_axis_tvalid,
    input  logic                                                              m_axis_tready
);
  if (SIMD < 1 || MW % SIMD != 0) begin : gen_check_simd
    $error("serial_matvec: SIMD (%0d) must divide MW (%0d)", SIMD, MW);
  end
  if (PE < 1 || MH % PE != 0) begin : gen_check_pe
    $error("serial_matvec: PE (%0d) must divide MH (%0d)", PE, MH);
  end
  if (SIMD > 150) begin : gen_check_simd_limit
    $error("serial_matvec: SIMD (%0d) must be at most 150", SIMD);
  end
  if (COUNT < 2 || COUNT > 4 || WIDTHS >> 4 * (COUNT - 1) != WEIGHT_WIDTH || WIDTHS % 16 < 2) begin : gen_check_widths
    $error("serial_matvec: WIDTHS ('h%0h) must have COUNT (%0d) digits, 2 at least, the last WEIGHT_WIDTH (%0d)",
           WIDTHS, COUNT, WEIGHT_WIDTH);
  end
  if (IN_WIDTH < 1 || VECTORS < 1) begin : gen_check_positive
    $error("serial_matvec: IN_WIDTH (%0d) and VECTORS (%0d) must be at least 1", IN_WIDTH, VECTORS);
  end

  localparam int unsigned SF = MW / SIMD;
  localparam int unsigned NF = MH / PE;
  localparam int unsigned SF_WIDTH = SF > 1 ? $clog2(SF) : 1;
  localparam int unsigned SLICE = SIMD * IN_WIDTH;  // bits read at a time
  localparam int unsigned ROOM = 2 ** $clog2(SLICE);  // a power of two, or the index is a product
  localparam int unsigned PAIRS = (SIMD + 1) / 2;
  localparam int unsigned STRIDE = 2 ** $clog2(IN_WIDTH + 1);
  // Cycles from an address to its plane's sum: select, pair sums, and the stages of plane_sum.
  localparam int unsigned STAGES = 3 + (SIMD > 6 ? 1 : 0) + (SIMD > 30 ? 1 : 0);

  // Where the reader is, see serial_steps. What is not known before the sum is there travels along.
  logic                    advance;
  logic                    take;
  logic                    deliver;  // the last sum of an output is there
  logic [             3:0] width;    // of this frame
  logic [    SF_WIDTH-1:0] sf;
  logic                    first, second;  // plane
  logic                    last_output, last_use, last_vector;
  logic [      STAGES-1:0] valid_pipe;
  logic [      STAGES-1:0] last_pipe;
  logic [      STAGES-1:0] double_pipe;  // the first sum of a plane: what is there counts twice
  logic [      STAGES-1:0] negate_pipe;  // and is the top plane's

  // Only a result that finds the last one still there has to wait: products go on while a beat is taken.
  assign advance                = !(m_axis_tvalid && !m_axis_tready && valid_pipe[STAGES-1] && last_pipe[STAGES-1]);
  assign deliver                = advance && valid_pipe[STAGES-1] && last_pipe[STAGES-1];
  assign memory_enable          = advance;
  assign width                  = 4'(WIDTHS >> {s_configuration_tdata, 2'b00});
  assign take                   = s_axis_tvalid && s_configuration_tvalid && advance;
  assign s_axis_tready          = s_configuration_tvalid && advance && last_use;
  assign s_configuration_tready = s_axis_tvalid && advance && last_use && last_vector;

  serial_steps #(
      .SF          (SF),
      .NF          (NF),
      .WEIGHT_WIDTH(WEIGHT_WIDTH),
      .VECTORS     (VECTORS)
  ) u_steps (
      .clk        (clk),
      .rst        (rst),
      .take       (take),
      .width      (width),
      .sf         (sf),
      .first      (first),
      .second     (second),
      .word       (weight_addr),
      .last_output(last_output),
      .last_use   (last_use),
      .last_vector(last_vector)
  );

  always_ff @(posedge clk) begin
    if (advance) begin
      last_pipe   <= STAGES'({last_pipe, last_output});
      double_pipe <= STAGES'({double_pipe, sf == '0 && !first});
      negate_pipe <= STAGES'({negate_pipe, sf == '0 && second});
    end
  end

  always_ff @(posedge clk) begin
    if (rst) valid_pipe <= '0;
    else if (advance) valid_pipe <= STAGES'({valid_pipe, take});
  end

  // Stage 1: SIMD elements of the vector, beside the memory's read. Stage 2: their pair sums; the weights are taken
  // into registers, since block RAM is slow to answer.
  logic [                   PE*SIMD-1:0] weights;
  logic [            SIMD*IN_WIDTH-1:0] selected;
  logic [           4*PAIRS*STRIDE-1:0] choices;  // see plane_sum
  logic [IN_WIDTH+$clog2(SIMD)+1:0]       total;
  logic [           2**SF_WIDTH*ROOM-1:0] padded;
  logic                                   unused;

  for (genvar k = 0; k < 2 ** SF_WIDTH; k++) begin : gen_padded
    if (k < SF) begin : gen_slice
      assign padded[k*ROOM+:ROOM] = ROOM'(s_axis_tdata[k*SLICE+:SLICE]);
    end else begin : gen_nothing
      assign padded[k*ROOM+:ROOM] = '0;
    end
  end

  always_ff @(posedge clk) begin
    if (advance) begin
      selected <= padded[{sf, {$clog2(SLICE) {1'b0}}}+:SLICE];
      weights  <= weight_data;
    end
  end

  pair_sums #(
      .SIMD        (SIMD),
      .IN_WIDTH    (IN_WIDTH),
      .IN_SIGNED   (IN_SIGNED),
      .WEIGHT_WIDTH(1),
      .WEIGHT_ODD  (0)
  ) u_pair_sums (
      .clk    (clk),
      .enable (advance),
      .values (selected),
      .choices(choices),
      .total  (total)
  );
  assign unused = &{1'b0, total};

  logic                 add;         // a sum is there
  logic [ACC_WIDTH-1:0] vector_sum;  // of the result that waits
  assign add = advance && valid_pipe[STAGES-1];

  if (WEIGHT_ODD != 0) begin : gen_odd
    serial_total #(
        .SIMD     (SIMD),
        .IN_WIDTH (IN_WIDTH),
        .IN_SIGNED(IN_SIGNED),
        .OUT_WIDTH(ACC_WIDTH)
    ) u_total (
        .clk    (clk),
        .rst    (rst),
        .enable (advance),
        .first  (first),
        .second (second),
        .choices(choices),
        .add    (add),
        .deliver(deliver),
        .total  (vector_sum)
    );
  end else begin : gen_even
    assign vector_sum = '0;
  end

  for (genvar pe = 0; pe < PE; pe++) begin : gen_pe
    serial_row #(
        .SIMD      (SIMD),
        .IN_WIDTH  (IN_WIDTH),
        .IN_SIGNED (IN_SIGNED),
        .WEIGHT_ODD(WEIGHT_ODD),
        .ACC_WIDTH (ACC_WIDTH)
    ) u_row (
        .clk       (clk),
        .rst       (rst),
        .enable    (advance),
        .choices   (choices),
        .bits      (weights[pe*SIMD+:SIMD]),
        .add       (add),
        .twice     (double_pipe[STAGES-1]),
        .negate    (negate_pipe[STAGES-1]),
        .deliver   (deliver),
        .vector_sum(vector_sum),
        .out       (m_axis_tdata[pe*ACC_WIDTH+:ACC_WIDTH])
    );
  end

  always_ff @(posedge clk) begin
    if (rst) m_axis_tvalid <= 1'b0;
    else if (deliver) m_axis_tvalid <= 1'b1;
    else if (m_axis_tready) m_axis_tvalid <= 1'b0;
  end
endmodule
