// stream_fifo: holds up to DEPTH beats in a memory, and one more in its output register.
//
// Formula:  out = in.
// Rate:     one beat per cycle.
// Latency:  2 cycles (into the memory, out to the register).
// Reset:    empties it. The memory keeps its content, which nothing reads again.
module stream_fifo #(
    parameter int unsigned WIDTH = 8,   // bits of a beat
    parameter int unsigned DEPTH = 16,  // beats in the memory, any number from 2
    parameter int unsigned STYLE = 0    // memory: 0 the tool's choice, 1 distributed (LUT), 2 block
) (
    input  logic             clk,
    input  logic             rst,
    input  logic [WIDTH-1:0] s_axis_tdata,
    input  logic             s_axis_tvalid,
    output logic             s_axis_tready,
    output logic [WIDTH-1:0] m_axis_tdata,
    output logic             m_axis_tvalid,
    input  logic             m_axis_tready
);
  if (WIDTH < 1) begin : gen_check_width
    $error("stream_fifo: WIDTH (%0d) must be at least 1", WIDTH);
  end
  if (DEPTH < 2) begin : gen_check_depth
    $error("stream_fifo: DEPTH (%0d) must be at least 2", DEPTH);
  end
  if (STYLE > 2) begin : gen_check_style
    $error("stream_fifo: STYLE (%0d) must be 0, 1 or 2", STYLE);
  end

  localparam int unsigned ADDR_WIDTH = $clog2(DEPTH);
  localparam int unsigned COUNT_WIDTH = $clog2(DEPTH + 1);
  localparam logic [ADDR_WIDTH-1:0] LAST = ADDR_WIDTH'(DEPTH - 1);

  logic [ADDR_WIDTH-1:0]  write_addr;
  logic [ADDR_WIDTH-1:0]  read_addr;
  logic [COUNT_WIDTH-1:0] count;  // beats in the memory
  logic                   write;
  logic                   read;

  assign s_axis_tready = count != COUNT_WIDTH'(DEPTH);
  assign write         = s_axis_tvalid && s_axis_tready;
  assign read          = count != '0 && (m_axis_tready || !m_axis_tvalid);

  always_ff @(posedge clk) begin
    if (rst) begin
      write_addr    <= '0;
      read_addr     <= '0;
      count         <= '0;
      m_axis_tvalid <= 1'b0;
    end else begin
      if (write) write_addr <= (write_addr == LAST) ? '0 : write_addr + 1'b1;
      if (read) read_addr <= (read_addr == LAST) ? '0 : read_addr + 1'b1;
      if (write && !read) count <= count + 1'b1;
      if (read && !write) count <= count - 1'b1;
      if (read) m_axis_tvalid <= 1'b1;
      else if (m_axis_tready) m_axis_tvalid <= 1'b0;
    end
  end

  if (STYLE == 1) begin : gen_distributed
    (* ram_style = "distributed" *) logic [WIDTH-1:0] memory[0:DEPTH-1];
    always_ff @(posedge clk) begin
      if (write) memory[write_addr] <= s_axis_tdata;
      if (read) m_axis_tdata <= memory[read_addr];
    end
  end else if (STYLE == 2) begin : gen_block
    (* ram_style = "block" *) logic [WIDTH-1:0] memory[0:DEPTH-1];
    always_ff @(posedge clk) begin
      if (write) memory[write_addr] <= s_axis_tdata;
      if (read) m_axis_tdata <= memory[read_addr];
    end
  end else begin : gen_auto
    logic [WIDTH-1:0] memory[0:DEPTH-1];
    always_ff @(posedge clk) begin
      if (write) memory[write_addr] <= s_axis_tdata;
      if (read) m_axis_tdata <= memory[read_addr];
    end
  end
endmodule
