//! The methods of [`SpartaBackend`](crate::SpartaBackend) for backends whose tensors lie in the host's
//! memory.

/// The methods that have kernels, as calls of those; for the `impl` block of a [`super::HostBackend`].
macro_rules! run_on_host {
    () => {
        fn entmax_forward(
            scores: burn::backend::tensor::FloatTensor<Self>,
            mapping: crate::entmax::Mapping,
        ) -> burn::backend::tensor::FloatTensor<Self> {
            crate::profile::span("entmax_forward", || {
                crate::cpu::entmax_forward::<Self>(scores, mapping)
            })
        }

        fn entmax_topk_forward(
            scores: burn::backend::tensor::FloatTensor<Self>,
            mapping: crate::entmax::Mapping,
            k: usize,
        ) -> burn::backend::tensor::FloatTensor<Self> {
            crate::profile::span("entmax_topk_forward", || {
                crate::cpu::entmax_topk_forward::<Self>(scores, mapping, k)
            })
        }

        fn entmax_backward(
            weights: burn::backend::tensor::FloatTensor<Self>,
            grad: burn::backend::tensor::FloatTensor<Self>,
            mapping: crate::entmax::Mapping,
        ) -> burn::backend::tensor::FloatTensor<Self> {
            crate::profile::span("entmax_backward", || {
                crate::cpu::entmax_backward::<Self>(weights, grad, mapping)
            })
        }

        fn entmax_rows_forward(
            scores: burn::backend::tensor::FloatTensor<Self>,
            alpha: burn::backend::tensor::FloatTensor<Self>,
        ) -> burn::backend::tensor::FloatTensor<Self> {
            crate::profile::span("entmax_rows_forward", || {
                crate::cpu::entmax_rows_forward::<Self>(scores, alpha)
            })
        }

        fn entmax_rows_backward(
            weights: burn::backend::tensor::FloatTensor<Self>,
            grad: burn::backend::tensor::FloatTensor<Self>,
            alpha: burn::backend::tensor::FloatTensor<Self>,
        ) -> (
            burn::backend::tensor::FloatTensor<Self>,
            burn::backend::tensor::FloatTensor<Self>,
        ) {
            crate::profile::span("entmax_rows_backward", || {
                crate::cpu::entmax_rows_backward::<Self>(weights, grad, alpha)
            })
        }

        fn structured_forward(
            scores: burn::backend::tensor::FloatTensor<Self>,
            mapping: crate::entmax::StructuredMapping,
        ) -> (
            burn::backend::tensor::FloatTensor<Self>,
            burn::backend::tensor::IntTensor<Self>,
        ) {
            crate::profile::span("structured_forward", || {
                crate::cpu::structured_forward::<Self>(scores, mapping)
            })
        }

        fn structured_backward(
            groups: burn::backend::tensor::IntTensor<Self>,
            grad: burn::backend::tensor::FloatTensor<Self>,
        ) -> burn::backend::tensor::FloatTensor<Self> {
            crate::profile::span("structured_backward", || {
                crate::cpu::structured_backward::<Self>(groups, grad)
            })
        }

        fn cross_entropy_forward(
            logits: burn::backend::tensor::FloatTensor<Self>,
            targets: burn::backend::tensor::IntTensor<Self>,
        ) -> burn::backend::tensor::FloatTensor<Self> {
            crate::profile::span("cross_entropy_forward", || {
                crate::cpu::cross_entropy_forward::<Self>(logits, targets)
            })
        }

        fn cross_entropy_backward(
            logits: burn::backend::tensor::FloatTensor<Self>,
            targets: burn::backend::tensor::IntTensor<Self>,
            loss: burn::backend::tensor::FloatTensor<Self>,
            grad: burn::backend::tensor::FloatTensor<Self>,
        ) -> burn::backend::tensor::FloatTensor<Self> {
            crate::profile::span("cross_entropy_backward", || {
                crate::cpu::cross_entropy_backward::<Self>(logits, targets, loss, grad)
            })
        }

        fn log_partition(
            scores: burn::backend::tensor::FloatTensor<Self>,
        ) -> burn::backend::tensor::FloatTensor<Self> {
            crate::profile::span("log_partition", || {
                crate::cpu::log_partition::<Self>(scores)
            })
        }

        fn append_positions(
            kept: burn::backend::tensor::FloatTensor<Self>,
            rows: burn::backend::tensor::IntTensor<Self>,
            new: burn::backend::tensor::FloatTensor<Self>,
        ) -> burn::backend::tensor::FloatTensor<Self> {
            crate::profile::span("append_positions", || {
                crate::cpu::append_positions::<Self>(kept, rows, new)
            })
        }

        fn entmax_loss_forward(
            scores: burn::backend::tensor::FloatTensor<Self>,
            targets: burn::backend::tensor::IntTensor<Self>,
            mapping: crate::entmax::Mapping,
        ) -> (
            burn::backend::tensor::FloatTensor<Self>,
            burn::backend::tensor::FloatTensor<Self>,
        ) {
            crate::profile::span("entmax_loss_forward", || {
                crate::cpu::entmax_loss_forward::<Self>(scores, targets, mapping)
            })
        }

        fn entmax_loss_backward(
            weights: burn::backend::tensor::FloatTensor<Self>,
            targets: burn::backend::tensor::IntTensor<Self>,
            grad: burn::backend::tensor::FloatTensor<Self>,
        ) -> burn::backend::tensor::FloatTensor<Self> {
            crate::profile::span("entmax_loss_backward", || {
                crate::cpu::entmax_loss_backward::<Self>(weights, targets, grad)
            })
        }

        fn attention_forward(
            query: burn::backend::tensor::FloatTensor<Self>,
            key: burn::backend::tensor::FloatTensor<Self>,
            value: burn::backend::tensor::FloatTensor<Self>,
            extras: crate::attention::AttentionExtras<Self>,
            spec: crate::attention::AttentionSpec,
        ) -> (
            burn::backend::tensor::FloatTensor<Self>,
            crate::attention::AttentionSaved<Self>,
        ) {
            crate::profile::span("attention_forward", || {
                crate::cpu::attention_forward::<Self>(query, key, value, extras, spec)
            })
        }

        fn attention_backward(
            query: burn::backend::tensor::FloatTensor<Self>,
            key: burn::backend::tensor::FloatTensor<Self>,
            value: burn::backend::tensor::FloatTensor<Self>,
            extras: crate::attention::AttentionExtras<Self>,
            spec: crate::attention::AttentionSpec,
            saved: crate::attention::AttentionSaved<Self>,
            grad: burn::backend::tensor::FloatTensor<Self>,
            wants_bias: bool,
        ) -> crate::attention::AttentionGrads<Self> {
            crate::profile::span("attention_backward", || {
                crate::cpu::attention_backward::<Self>(
                    query, key, value, extras, spec, saved, grad, wants_bias,
                )
            })
        }

        fn exact_gelu(
            x: burn::backend::tensor::FloatTensor<Self>,
        ) -> burn::backend::tensor::FloatTensor<Self> {
            crate::profile::span("exact_gelu", || crate::cpu::exact_gelu::<Self>(x))
        }

        fn exact_gelu_backward(
            x: burn::backend::tensor::FloatTensor<Self>,
            grad: burn::backend::tensor::FloatTensor<Self>,
        ) -> burn::backend::tensor::FloatTensor<Self> {
            crate::profile::span("exact_gelu_backward", || {
                crate::cpu::exact_gelu_backward::<Self>(x, grad)
            })
        }

        fn drop_values(
            x: burn::backend::tensor::FloatTensor<Self>,
            dropout: crate::attention::Dropout,
        ) -> burn::backend::tensor::FloatTensor<Self> {
            crate::profile::span("drop_values", || {
                crate::cpu::drop_values::<Self>(x, dropout)
            })
        }

        fn layer_norm_forward(
            x: burn::backend::tensor::FloatTensor<Self>,
            gamma: burn::backend::tensor::FloatTensor<Self>,
            beta: burn::backend::tensor::FloatTensor<Self>,
            epsilon: f64,
        ) -> (
            burn::backend::tensor::FloatTensor<Self>,
            burn::backend::tensor::FloatTensor<Self>,
        ) {
            crate::profile::span("layer_norm_forward", || {
                crate::cpu::layer_norm_forward::<Self>(x, gamma, beta, epsilon)
            })
        }

        fn layer_norm_backward(
            x: burn::backend::tensor::FloatTensor<Self>,
            gamma: burn::backend::tensor::FloatTensor<Self>,
            statistics: burn::backend::tensor::FloatTensor<Self>,
            grad: burn::backend::tensor::FloatTensor<Self>,
        ) -> (
            burn::backend::tensor::FloatTensor<Self>,
            burn::backend::tensor::FloatTensor<Self>,
            burn::backend::tensor::FloatTensor<Self>,
        ) {
            crate::profile::span("layer_norm_backward", || {
                crate::cpu::layer_norm_backward::<Self>(x, gamma, statistics, grad)
            })
        }

        fn adam(
            weight: burn::backend::tensor::FloatTensor<Self>,
            gradient: burn::backend::tensor::FloatTensor<Self>,
            first: burn::backend::tensor::FloatTensor<Self>,
            second: burn::backend::tensor::FloatTensor<Self>,
            scale: burn::backend::tensor::FloatTensor<Self>,
            step: crate::optimizer::AdamStep,
        ) -> (
            burn::backend::tensor::FloatTensor<Self>,
            burn::backend::tensor::FloatTensor<Self>,
            burn::backend::tensor::FloatTensor<Self>,
        ) {
            crate::profile::span("adam", || {
                crate::cpu::adam::<Self>(weight, gradient, first, second, scale, step)
            })
        }

        fn sum_of_squares(
            x: burn::backend::tensor::FloatTensor<Self>,
        ) -> burn::backend::tensor::FloatTensor<Self> {
            crate::profile::span("sum_of_squares", || crate::cpu::sum_of_squares::<Self>(x))
        }
    };
}
pub(crate) use run_on_host;

/// The same for the products of matrices, on backends whose own products are gemm's or slower.
#[cfg(any(feature = "flex", feature = "ndarray"))]
macro_rules! run_products_on_host {
    () => {
        fn linear_forward(
            x: burn::backend::tensor::FloatTensor<Self>,
            weight: burn::backend::tensor::FloatTensor<Self>,
            bias: burn::backend::tensor::FloatTensor<Self>,
            activation: crate::linear::LinearActivation,
        ) -> burn::backend::tensor::FloatTensor<Self> {
            crate::profile::span("linear_forward", || {
                crate::cpu::linear_forward::<Self>(x, weight, bias, activation)
            })
        }

        fn bias_backward(
            output: burn::backend::tensor::FloatTensor<Self>,
            grad: burn::backend::tensor::FloatTensor<Self>,
            activation: crate::linear::LinearActivation,
        ) -> (
            burn::backend::tensor::FloatTensor<Self>,
            burn::backend::tensor::FloatTensor<Self>,
        ) {
            crate::profile::span("bias_backward", || {
                crate::cpu::bias_backward::<Self>(output, grad, activation)
            })
        }

        fn product(
            x: burn::backend::tensor::FloatTensor<Self>,
            weight: burn::backend::tensor::FloatTensor<Self>,
        ) -> burn::backend::tensor::FloatTensor<Self> {
            crate::profile::span("product", || crate::cpu::product::<Self>(x, weight))
        }

        fn product_backward(
            x: burn::backend::tensor::FloatTensor<Self>,
            weight: burn::backend::tensor::FloatTensor<Self>,
            grad: burn::backend::tensor::FloatTensor<Self>,
        ) -> (
            burn::backend::tensor::FloatTensor<Self>,
            burn::backend::tensor::FloatTensor<Self>,
        ) {
            crate::profile::span("product_backward", || {
                crate::cpu::product_backward::<Self>(x, weight, grad)
            })
        }
    };
}
#[cfg(any(feature = "flex", feature = "ndarray"))]
pub(crate) use run_products_on_host;
