// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Mesa's Teflon, as a distribution ships it, on the NPU's driver: a quantised network of three convolutions is computed by
 * TensorFlow Lite on the CPU and, through the delegate, on the NPU. Every register command and every task is Mesa's. The two may
 * differ by one step of the quantisation, which is what their different roundings come to.
 *
 * The network is made here; its weights are the numbers of a generator with a fixed seed.
 */
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <tensorflow/lite/interpreter.h>
#include <tensorflow/lite/interpreter_builder.h>
#include <tensorflow/lite/kernels/register_ref.h>
#include <tensorflow/lite/model_builder.h>
#include <tensorflow/lite/schema/schema_generated.h>

namespace {

constexpr char kDelegate[] = "/usr/lib/teflon/libteflon.so";
constexpr char kCounters[] = "/sys/kernel/debug/hwmodel/counters";
constexpr int kSide = 16;

struct Layer {
  bool depthwise;
  int in, out;  // channels
  int kernel, stride;
};

const std::vector<Layer> kNetwork = {
    {false, 16, 32, 3, 1},
    {true, 32, 32, 3, 1},
    {false, 32, 64, 1, 1},
};

/* What a network is made of, until it is written down. */
class Writer {
 public:
  Writer() { buffers_.push_back(tflite::CreateBuffer(builder_)); }

  int Tensor(const char* name, const std::vector<int32_t>& shape, tflite::TensorType type, float scale, int64_t zero,
             const std::vector<uint8_t>& content = {}) {
    int buffer = 0;
    if (!content.empty()) {
      buffer = static_cast<int>(buffers_.size());
      buffers_.push_back(tflite::CreateBuffer(builder_, builder_.CreateVector(content)));
    }
    auto quantisation = tflite::CreateQuantizationParameters(builder_, 0, 0, builder_.CreateVector<float>({scale}),
                                                             builder_.CreateVector<int64_t>({zero}));
    tensors_.push_back(tflite::CreateTensor(builder_, builder_.CreateVector(shape), type, buffer, builder_.CreateString(name),
                                            quantisation));
    return static_cast<int>(tensors_.size()) - 1;
  }

  void Convolution(const Layer& layer, const std::vector<int32_t>& inputs, int output) {
    flatbuffers::Offset<void> options;
    if (layer.depthwise)
      options = tflite::CreateDepthwiseConv2DOptions(builder_, tflite::Padding_SAME, layer.stride, layer.stride, 1).Union();
    else
      options = tflite::CreateConv2DOptions(builder_, tflite::Padding_SAME, layer.stride, layer.stride).Union();
    operators_.push_back(tflite::CreateOperator(
        builder_, layer.depthwise ? 1 : 0, builder_.CreateVector(inputs), builder_.CreateVector<int32_t>({output}),
        layer.depthwise ? tflite::BuiltinOptions_DepthwiseConv2DOptions : tflite::BuiltinOptions_Conv2DOptions, options));
  }

  std::string Finish(int input, int output) {
    const std::vector<flatbuffers::Offset<tflite::OperatorCode>> codes = {
        tflite::CreateOperatorCode(builder_, tflite::BuiltinOperator_CONV_2D, 0, 1, tflite::BuiltinOperator_CONV_2D),
        tflite::CreateOperatorCode(builder_, tflite::BuiltinOperator_DEPTHWISE_CONV_2D, 0, 1,
                                   tflite::BuiltinOperator_DEPTHWISE_CONV_2D),
    };
    const std::vector<flatbuffers::Offset<tflite::SubGraph>> graphs = {
        tflite::CreateSubGraph(builder_, builder_.CreateVector(tensors_), builder_.CreateVector<int32_t>({input}),
                               builder_.CreateVector<int32_t>({output}), builder_.CreateVector(operators_)),
    };
    auto model = tflite::CreateModel(builder_, 3, builder_.CreateVector(codes), builder_.CreateVector(graphs), 0,
                                     builder_.CreateVector(buffers_));
    tflite::FinishModelBuffer(builder_, model);
    return std::string(reinterpret_cast<const char*>(builder_.GetBufferPointer()), builder_.GetSize());
  }

 private:
  flatbuffers::FlatBufferBuilder builder_;
  std::vector<flatbuffers::Offset<tflite::Buffer>> buffers_;
  std::vector<flatbuffers::Offset<tflite::Tensor>> tensors_;
  std::vector<flatbuffers::Offset<tflite::Operator>> operators_;
};

std::vector<uint8_t> Random(size_t bytes, uint32_t seed) {
  std::minstd_rand generator(seed);
  std::vector<uint8_t> numbers(bytes);
  for (auto& number : numbers) number = static_cast<uint8_t>(generator() >> 8);
  return numbers;
}

/* The first `layers` of the network. */
std::string Network(size_t layers, uint32_t seed) {
  Writer writer;
  float scale = 0.02f;
  int tensor = writer.Tensor("input", {1, kSide, kSide, kNetwork[0].in}, tflite::TensorType_UINT8, scale, 128);
  const int input = tensor;
  int side = kSide;
  for (size_t n = 0; n < layers; n++) {
    const Layer& layer = kNetwork[n];
    const size_t terms = static_cast<size_t>(layer.kernel) * layer.kernel * (layer.depthwise ? 1 : layer.in);
    const size_t weights = terms * layer.out;
    const float weight_scale = 0.01f;
    // So that results use the range that they have.
    const float out_scale = scale * weight_scale * 74 * 74 * sqrtf(static_cast<float>(terms)) / 40;
    std::vector<int32_t> shape = {layer.out, layer.kernel, layer.kernel, layer.in};
    if (layer.depthwise) shape = {1, layer.kernel, layer.kernel, layer.out};
    std::vector<uint8_t> bias(4 * static_cast<size_t>(layer.out));
    const auto draw = Random(bias.size(), seed + 100 + n);
    for (size_t i = 0; i < static_cast<size_t>(layer.out); i++) {
      const int32_t value = (draw[4 * i] - 128) * 50;
      memcpy(&bias[4 * i], &value, sizeof(value));
    }
    side /= layer.stride;
    const int w = writer.Tensor("weights", shape, tflite::TensorType_UINT8, weight_scale, 128, Random(weights, seed + n));
    const int b = writer.Tensor("bias", {layer.out}, tflite::TensorType_INT32, scale * weight_scale, 0, bias);
    const int out = writer.Tensor("output", {1, side, side, layer.out}, tflite::TensorType_UINT8, out_scale, 128);
    writer.Convolution(layer, {tensor, w, b}, out);
    tensor = out;
    scale = out_scale;
  }
  return writer.Finish(input, tensor);
}

uint64_t Counted(const char* name) {
  FILE* file = fopen(kCounters, "r");
  char word[64];
  unsigned long long value, found = 0;
  if (!file) return 0;
  while (fscanf(file, "%63s %llu", word, &value) == 2)
    if (!strcmp(word, name)) found = value;
  fclose(file);
  return found;
}

uint64_t Tasks() { return Counted("npu0_task") + Counted("npu1_task") + Counted("npu2_task"); }

void Complain(const char* what) { printf("# teflon: %s\n", what); }

/* Runs a network. Returns its output, or nothing. */
std::vector<uint8_t> Run(const std::string& network, const std::vector<uint8_t>& input, bool npu, int times) {
  using Create = TfLiteDelegate* (*)(char**, char**, size_t, void (*)(const char*));
  using Destroy = void (*)(TfLiteDelegate*);
  auto model = tflite::FlatBufferModel::VerifyAndBuildFromBuffer(network.data(), network.size());
  std::unique_ptr<tflite::Interpreter> interpreter;
  tflite::ops::builtin::BuiltinRefOpResolver resolver;
  if (!model || tflite::InterpreterBuilder(*model, resolver)(&interpreter) != kTfLiteOk) return {};
  TfLiteDelegate* delegate = nullptr;
  Destroy destroy = nullptr;
  if (npu) {
    void* library = dlopen(kDelegate, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
      Complain(dlerror());
      return {};
    }
    const auto create = reinterpret_cast<Create>(dlsym(library, "tflite_plugin_create_delegate"));
    destroy = reinterpret_cast<Destroy>(dlsym(library, "tflite_plugin_destroy_delegate"));
    delegate = create ? create(nullptr, nullptr, 0, Complain) : nullptr;
    if (!delegate || interpreter->ModifyGraphWithDelegate(delegate) != kTfLiteOk) {
      Complain("the delegate cannot be used");
      return {};
    }
    if (interpreter->execution_plan().size() != 1) {
      Complain("a part of the network stays on the CPU");
      return {};
    }
  }
  std::vector<uint8_t> result;
  bool good = interpreter->AllocateTensors() == kTfLiteOk;
  for (int i = 0; good && i < times; i++) {
    memcpy(interpreter->typed_input_tensor<uint8_t>(0), input.data(), input.size());
    good = interpreter->Invoke() == kTfLiteOk;
    const TfLiteTensor* output = interpreter->output_tensor(0);
    const std::vector<uint8_t> got(output->data.uint8, output->data.uint8 + output->bytes);
    if (i && got != result) {
      Complain("two runs have different results");
      good = false;
    }
    result = got;
  }
  interpreter.reset();
  if (delegate) destroy(delegate);
  return good ? result : std::vector<uint8_t>();
}

/* Whether CPU and NPU agree, and the NPU was it. */
bool Agrees(size_t layers, uint32_t seed, int times) {
  const std::string network = Network(layers, seed);
  const auto input = Random(static_cast<size_t>(kSide) * kSide * kNetwork[0].in, seed + 1000);
  const auto expected = Run(network, input, false, 1);
  const uint64_t before = Tasks();
  const auto got = Run(network, input, true, times);
  const uint64_t tasks = Tasks() - before;
  if (expected.empty() || got.size() != expected.size()) {
    printf("# %zu bytes where the CPU has %zu\n", got.size(), expected.size());
    return false;
  }
  int worst = 0, saturated = 0;
  size_t wrong = 0;
  for (size_t i = 0; i < got.size(); i++) {
    const int difference = abs(got[i] - expected[i]);
    worst = difference > worst ? difference : worst;
    wrong += difference > 1;
    saturated += expected[i] == 0 || expected[i] == 255;
  }
  printf("# %zu layers: %zu results, %d at the ends of the range, differences up to %d, %llu tasks\n", layers, got.size(), saturated,
         worst, static_cast<unsigned long long>(tasks));
  return !wrong && tasks >= layers * static_cast<size_t>(times);
}

bool TwoProcesses() {
  pid_t child = fork();
  if (!child) _exit(Agrees(3, 50, 5) ? 0 : 1);
  const bool mine = Agrees(3, 60, 5);
  int status = -1;
  return waitpid(child, &status, 0) == child && !status && mine;
}

}  // namespace

int main() {
  const struct {
    const char* name;
    std::function<bool()> run;
  } tests[] = {
      {"a convolution", [] { return Agrees(1, 10, 1); }},
      {"a convolution and a depthwise one", [] { return Agrees(2, 20, 1); }},
      {"the network", [] { return Agrees(3, 30, 1); }},
      {"the network, ten times with one result", [] { return Agrees(3, 40, 10); }},
      {"two processes", TwoProcesses},
  };
  bool good = true;
  int n = 0;
  setvbuf(stdout, nullptr, _IOLBF, 0);
  printf("TAP version 13\n1..%zu\n", sizeof(tests) / sizeof(*tests));
  for (const auto& test : tests) {
    const bool passed = test.run();
    printf("%s %d %s\n", passed ? "ok" : "not ok", ++n, test.name);
    good &= passed;
  }
  return good ? 0 : 1;
}
