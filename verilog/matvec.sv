// matvec: a matrix times a vector, folded to PE x SIMD products a cycle.
//
// Formula:  out[n] = bias[n] + sum over i < MW of in[i] * weight[n, i], n < MH, exact in ACC_WIDTH bits, signed.
//           A code k is in two's complement. WEIGHT_ODD 0: it is the weight; 1: the weight is 2k + 1, an odd number
//           from 1 - 2^WEIGHT_WIDTH to 2^WEIGHT_WIDTH - 1; always so for 1 bit (-1, +1). Then a row's products are
//           2 * (sum of in * k) + (sum of in), and the second sum is made once for all rows.
// Beats:    in: the whole vector, element 0 in the low bits; the sender holds it until its last use.
//           out: beat nf carries the accumulators n = nf*PE + pe, pe in the low bits first.
//           VECTORS > 0 (see depthwise): a beat brings VECTORS vectors and is for the next PE rows only, of which
//           PE/VECTORS share a vector; element i of vector v at index i*VECTORS + v.
// Weights:  come from a memory outside: word nf*(MW/SIMD) + sf, in it, by bit planes, bit p of
//           weight[nf*PE + pe, sf*SIMD + i] at index (pe*WEIGHT_WIDTH + p)*SIMD + i. The memory answers weight_addr one cycle later, when memory_enable is high, and
//           else holds; see rom. Biases likewise: word nf, bias[nf*PE + pe] at index pe.
// Rate:     (MW/SIMD)*(MH/PE) cycles a vector, no bubble between vectors.
// Latency:  MW/SIMD + 4 cycles from a vector's arrival to its first beat; 1 more with more than 6 lanes, 1 more
//           with more than 30, 1 more with weights over 4 bits, 1 more with WEIGHT_ODD.
// Reset:    drops what is under way; the next vector starts at its first product.
module matvec #(
    parameter int unsigned MW           = 144,  // matrix width: elements of the vector
    parameter int unsigned MH           = 16,   // matrix height: outputs
    parameter int unsigned PE           = 16,   // outputs at a time; divides MH
    parameter int unsigned SIMD         = 16,   // elements at a time; divides MW
    parameter int unsigned IN_WIDTH     = 4,    // bits of an element
    parameter int unsigned IN_SIGNED    = 0,    // 1: elements are two's complement
    parameter int unsigned WEIGHT_WIDTH = 4,    // bits of a weight, 1 to 16
    parameter int unsigned WEIGHT_ODD   = 0,    // 1: code k means 2k + 1
    parameter int unsigned ACC_WIDTH    = 16,   // bits of an accumulator: enough for every result and partial sum
    parameter int unsigned VECTORS      = 0     // 0: one vector for all rows; else vectors of a beat; divides PE
) (
    input  logic                                                        clk,
    input  logic                                                        rst,
    input  logic [         (VECTORS > 0 ? VECTORS : 1)*MW*IN_WIDTH-1:0] s_axis_tdata,
    input  logic                                                        s_axis_tvalid,
    output logic                                                        s_axis_tready,
    output logic                                                        memory_enable,
    output logic [(MW*MH > PE*SIMD ? $clog2(MW*MH/(PE*SIMD)) : 1)-1:0] weight_addr,
    input  logic [                            PE*SIMD*WEIGHT_WIDTH-1:0] weight_data,
    output logic [                  (MH > PE ? $clog2(MH/PE) : 1)-1:0] bias_addr,
    input  logic [                                    PE*ACC_WIDTH-1:0] bias_data,
    output logic [                                    PE*ACC_WIDTH-1:0] m_axis_tdata,
    output logic                                                        m_axis_tvalid,
    input  logic                                                        m_axis_tready
);
  if (SIMD < 1 || MW % SIMD != 0) begin : gen_check_simd
    $error("matvec: SIMD (%0d) must divide MW (%0d)", SIMD, MW);
  end
  if (PE < 1 || MH % PE != 0) begin : gen_check_pe
    $error("matvec: PE (%0d) must divide MH (%0d)", PE, MH);
  end
  if (VECTORS > 0 && PE % (VECTORS > 0 ? VECTORS : 1) != 0) begin : gen_check_vectors
    $error("matvec: VECTORS (%0d) must divide PE (%0d)", VECTORS, PE);
  end
  if (SIMD > 128) begin : gen_check_simd_limit
    $error("matvec: SIMD (%0d) must be at most 128", SIMD);
  end
  if (IN_WIDTH < 1 || WEIGHT_WIDTH < 1 || WEIGHT_WIDTH > 16) begin : gen_check_width
    $error("matvec: IN_WIDTH (%0d) must be at least 1, WEIGHT_WIDTH (%0d) from 1 to 16", IN_WIDTH, WEIGHT_WIDTH);
  end
  if (WEIGHT_WIDTH == 1 && WEIGHT_ODD == 0) begin : gen_check_odd
    $error("matvec: WEIGHT_WIDTH 1 needs WEIGHT_ODD 1 (weights -1 and +1)");
  end

  localparam int unsigned SF = MW / SIMD;
  localparam int unsigned NF = MH / PE;
  localparam int unsigned SF_WIDTH = SF > 1 ? $clog2(SF) : 1;
  localparam int unsigned NF_WIDTH = NF > 1 ? $clog2(NF) : 1;
  localparam int unsigned WORD_WIDTH = SF * NF > 1 ? $clog2(SF * NF) : 1;
  localparam int unsigned EACH = VECTORS > 0 ? VECTORS : 1;  // vectors at a time
  localparam int unsigned SLICE = EACH * SIMD * IN_WIDTH;  // bits read at a time
  localparam int unsigned ROOM = 2 ** $clog2(SLICE);  // a power of two, or the index is a product
  localparam int unsigned PAIRS = (SIMD + 1) / 2;
  localparam int unsigned SUM_WIDTH = IN_WIDTH + 1;
  localparam int unsigned STRIDE = 2 ** $clog2(SUM_WIDTH);
  localparam int unsigned KERNEL_WIDTH = IN_WIDTH + $clog2(SIMD) + WEIGHT_WIDTH;  // sum of in * k
  localparam int unsigned TOTAL_WIDTH = KERNEL_WIDTH + 1;
  localparam int unsigned PRODUCT_WIDTH = IN_WIDTH + $clog2(SIMD) + WEIGHT_WIDTH + WEIGHT_ODD;
  // Cycles from an address to its product: select, pair sums, and the stages of dot_product.
  localparam int unsigned PLANE_STAGES = 2 + (SIMD > 6 ? 1 : 0) + (SIMD > 30 ? 1 : 0);
  localparam int unsigned MERGE_STAGES = (WEIGHT_WIDTH - 1) / 4;
  localparam int unsigned STAGES = 2 + PLANE_STAGES + MERGE_STAGES + WEIGHT_ODD;

  // Where the reader is: sf counts fast, nf slow. What is not known before the product is there travels along.
  logic                         advance;
  logic                         take;
  logic                         deliver;  // the last product of an output is there
  logic [         SF_WIDTH-1:0] sf;
  logic [         NF_WIDTH-1:0] nf;
  logic                         last_sf, last_nf;
  logic                         last_use;  // of the vector
  logic [       WORD_WIDTH-1:0] word;
  logic [           STAGES-1:0] valid_pipe;
  logic [           STAGES-1:0] last_pipe;
  logic [STAGES*NF_WIDTH-1:0] nf_pipe;

  // Only a result that finds the last one still there has to wait: products go on while a beat is taken.
  assign advance       = !(m_axis_tvalid && !m_axis_tready && valid_pipe[STAGES-1] && last_pipe[STAGES-1]);
  assign deliver       = advance && valid_pipe[STAGES-1] && last_pipe[STAGES-1];
  assign memory_enable = advance;
  assign weight_addr   = word;
  assign take          = s_axis_tvalid && advance;
  assign s_axis_tready = advance && last_use;
  assign bias_addr     = nf_pipe[(STAGES-2)*NF_WIDTH+:NF_WIDTH];

  // What ends with the next step is known from flip-flops: it decides whether the sender moves.
  logic [SF_WIDTH-1:0] next_sf;
  logic [NF_WIDTH-1:0] next_nf;
  logic                next_last_sf, next_last_nf;
  assign next_sf      = last_sf ? '0 : sf + 1'b1;
  assign next_nf      = !last_sf ? nf : last_nf ? '0 : nf + 1'b1;
  assign next_last_sf = next_sf == SF_WIDTH'(SF - 1);
  assign next_last_nf = next_nf == NF_WIDTH'(NF - 1);

  always_ff @(posedge clk) begin
    if (rst) begin
      sf       <= '0;
      nf       <= '0;
      word     <= '0;
      last_sf  <= SF == 1;
      last_nf  <= NF == 1;
      last_use <= SF == 1 && (VECTORS > 0 || NF == 1);
    end else if (take) begin
      sf       <= next_sf;
      nf       <= next_nf;
      word     <= (last_sf && last_nf) ? '0 : word + 1'b1;
      last_sf  <= next_last_sf;
      last_nf  <= next_last_nf;
      last_use <= next_last_sf && (VECTORS > 0 || next_last_nf);
    end
  end

  always_ff @(posedge clk) begin
    if (advance) begin
      last_pipe <= STAGES'({last_pipe, last_sf});
      nf_pipe   <= (STAGES * NF_WIDTH)'({nf_pipe, nf});
    end
  end

  always_ff @(posedge clk) begin
    if (rst) valid_pipe <= '0;
    else if (advance) valid_pipe <= STAGES'({valid_pipe, s_axis_tvalid});
  end

  // Stage 1: SIMD elements of each vector, beside the memory's read. Stage 2: their pair sums; the weights are
  // taken into registers, since block RAM is slow to answer.
  logic [PE*SIMD*WEIGHT_WIDTH-1:0] weights;
  logic [ EACH*SIMD*IN_WIDTH-1:0] selected;
  logic [EACH*4*PAIRS*STRIDE-1:0] choices;     // see plane_sum
  logic [   EACH*TOTAL_WIDTH-1:0] totals;      // with WEIGHT_ODD, the sum that all rows of a vector add

  logic [2**SF_WIDTH*ROOM-1:0] padded;
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

  for (genvar v = 0; v < EACH; v++) begin : gen_vector
    logic [SIMD*IN_WIDTH-1:0] mine;  // of `selected`
    for (genvar i = 0; i < SIMD; i++) begin : gen_mine
      assign mine[i*IN_WIDTH+:IN_WIDTH] = selected[(i*EACH+v)*IN_WIDTH+:IN_WIDTH];
    end
    pair_sums #(
        .SIMD        (SIMD),
        .IN_WIDTH    (IN_WIDTH),
        .IN_SIGNED   (IN_SIGNED),
        .WEIGHT_WIDTH(WEIGHT_WIDTH),
        .WEIGHT_ODD  (WEIGHT_ODD)
    ) u_pair_sums (
        .clk    (clk),
        .enable (advance),
        .values (mine),
        .choices(choices[v*4*PAIRS*STRIDE+:4*PAIRS*STRIDE]),
        .total  (totals[v*TOTAL_WIDTH+:TOTAL_WIDTH])
    );
  end

  for (genvar pe = 0; pe < PE; pe++) begin : gen_pe
    localparam int unsigned V = pe * EACH / PE;  // the vector of this row
    logic signed [PRODUCT_WIDTH-1:0] product;
    logic        [    ACC_WIDTH-1:0] accumulator;  // products of this output so far
    logic        [    ACC_WIDTH-1:0] sum;
    logic signed [ KERNEL_WIDTH-1:0] kernel;
    dot_product #(
        .SIMD        (SIMD),
        .IN_WIDTH    (IN_WIDTH),
        .IN_SIGNED   (IN_SIGNED),
        .WEIGHT_WIDTH(WEIGHT_WIDTH)
    ) u_row (
        .clk    (clk),
        .enable (advance),
        .choices(choices[V*4*PAIRS*STRIDE+:4*PAIRS*STRIDE]),
        .weights(weights[pe*SIMD*WEIGHT_WIDTH+:SIMD*WEIGHT_WIDTH]),
        .product(kernel)
    );
    if (WEIGHT_ODD != 0) begin : gen_odd
      logic [TOTAL_WIDTH-1:0] total;
      assign total = totals[V*TOTAL_WIDTH+:TOTAL_WIDTH];
      always_ff @(posedge clk) if (advance) product <= {kernel + total[TOTAL_WIDTH-1:1], total[0]};
    end else begin : gen_even
      logic unused;
      assign unused  = &{1'b0, totals[V*TOTAL_WIDTH+:TOTAL_WIDTH]};
      assign product = kernel;
    end
    assign sum = accumulator + ACC_WIDTH'(product);
    always_ff @(posedge clk) begin
      if (rst || deliver) accumulator <= '0;
      else if (advance && valid_pipe[STAGES-1]) accumulator <= sum;
    end
    always_ff @(posedge clk) begin
      if (deliver) m_axis_tdata[pe*ACC_WIDTH+:ACC_WIDTH] <= sum + bias_data[pe*ACC_WIDTH+:ACC_WIDTH];
    end
  end

  always_ff @(posedge clk) begin
    if (rst) m_axis_tvalid <= 1'b0;
    else if (deliver) m_axis_tvalid <= 1'b1;
    else if (m_axis_tready) m_axis_tvalid <= 1'b0;
  end
endmodule
