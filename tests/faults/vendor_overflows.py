"""What vendors answer to a prompt that is too long, in their own words."""

from __future__ import annotations

TPM = "on tokens per minute (TPM): Limit 6000, Requested 8123"

# name, status, message
TOO_LONG: list[tuple[str, int, str]] = [
    ("openai", 400, "Your input exceeds the context window of this model. Please adjust your input."),
    (
        "azure",
        400,
        "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300000",
    ),
    ("anthropic", 400, "prompt is too long: 213462 tokens > 200000 maximum"),
    ("litellm", 400, "litellm.ContextWindowExceededError: see the provider's message"),
    ("reduce", 400, "Please reduce your prompt; or completion length."),
    ("prompt-limit", 400, "Number of input tokens (9000) has exceeded max_prompt_tokens (8000) limit."),
    ("tokens-in-prompt", 400, "The number of tokens in the prompt (9000) exceeds the limit of 8192"),
    ("sequence", 400, "Sequence length 9000 is longer than the maximum sequence length 8192"),
    ("input-length", 400, "input length too long"),
    ("bedrock", 400, "Input is too long for requested model."),
    (
        "vertex",
        400,
        "Unable to submit request because the input token count is 40000 but model only supports up to 9",
    ),
    (
        "gemini",
        400,
        "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).",
    ),
    ("xai", 400, "This model's maximum prompt length is 131072 but the request contains 537812 tokens."),
    ("copilot", 400, "prompt token count of 135000 exceeds the limit of 128000"),
    ("moonshot", 400, "Invalid request: Your request exceeded model token limit: 8192 (requested: 21000)"),
    ("zai", 400, "Prompt exceeds max length"),
    ("zhipu", 400, "Prompt 超长"),
    ("alibaba", 400, "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]"),
    ("minimax", 400, "invalid params, context window exceeds limit (2013)"),
    ("volcengine", 400, "Total tokens of image and text exceed max message tokens. Request id: 0217"),
    (
        "together",
        422,
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000",
    ),
    ("together-2", 400, "The input (61709 tokens) is longer than the model's context length (40960 tokens)."),
    ("tgi", 422, "Input validation error: `inputs` must have less than 4095 tokens. Given: 6000"),
    ("tabby", 400, "Prompt length 40000 is greater than max_seq_len 32768"),
    ("vllm", 400, "This model's maximum context length is 32768 tokens. However, you requested 40000 tokens"),
    ("vllm-2", 400, "The decoder prompt (length 9000) is longer than the maximum model length of 8192."),
    ("sglang", 400, "Input length (160062 tokens) exceeds the maximum allowed length (59862 tokens)."),
    ("llama.cpp", 400, "the request exceeds the available context size, try increasing it"),
    ("llama.cpp-2", 500, "context shift is disabled"),
    ("ollama", 400, "prompt too long; exceeded max context length by 4 tokens"),
    (
        "lm-studio",
        400,
        "The number of tokens to keep from the initial prompt is greater than the context length",
    ),
    (
        "cohere",
        400,
        "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000",
    ),
    ("cohere-2", 400, "size limit exceeded by 11326 tokens. Try using shorter or fewer inputs"),
    ("mistral", 400, "Prompt contains 66385 tokens, too large for model with 32768 maximum context length"),
    (
        "watsonx",
        400,
        "the number of input tokens 5000 cannot exceed the total tokens limit 4096 for this model",
    ),
    (
        "cloudflare",
        413,
        "The estimated number of input and maximum output tokens exceeded this model context window",
    ),
    ("github", 413, "Request body too large for gpt-4o model. Max size: 8000 tokens."),
    ("fireworks", 400, "The prompt is too long: 9000, model maximum context length: 8192"),
    (
        "cerebras",
        400,
        "Please reduce the length of the messages or completion. Current length is 9 while limit is 8",
    ),
    (
        "groq-413",
        413,
        f"Request too large for model `llama` in group `x` {TPM}, please reduce your message size",
    ),
    (
        "openai-429",
        429,
        "Request too large for gpt-4o in organization x on tokens per min (TPM): Limit 30,000, "
        "Requested 36,190. The input or output tokens must be reduced in order to run successfully.",
    ),
    ("rate-that-cannot-be", 429, f"Rate limit reached for model `llama` {TPM}. Please try again in 22s."),
]
